"""What Segment's own SDKs are answered, and what is kept of their calls, over a real database."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row
from werkzeug.test import TestResponse

from app.bridge import bridge_of
from app.config.settings import Settings
from app.errors import ContentRejected, OutboxUnavailable
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.receiving import tracking
from app.segment_to_drip.receiving.tracking_body import LARGEST_BATCH, LARGEST_CALL, MOST_CALLS
from tests.support.builders import rows
from tests.support.databases import ON_SQLITE
from tests.support.flask_app import app_over as whole_app_over
from tests.support.logged import Logged
from tests.support.segment_webhooks import ACCOUNT, SECRET, call, webhook_over

KEY, KEY_OF_ANOTHER = "a-write-key-of-ours", "a-write-key-of-another"
KEYS = {KEY: "", KEY_OF_ANOTHER: "5150"}
BASIC: dict[str, Any] = {"auth": (KEY, "")}
IN_BODY: dict[str, Any] = {"auth": None}
ANA = {"traits": {"email": "ana@example.com"}}


@pytest.fixture
def store(engine: Engine) -> Store:
    """Over each engine in turn."""
    return Store(engine, "drip")


@pytest.fixture
def outbox(store: Store) -> GroupCommit:
    return GroupCommit(store)


@pytest.fixture
def app(outbox: GroupCommit) -> Flask:
    return app_over(outbox)


def app_over(outbox: GroupCommit, **chosen: Any) -> Flask:
    app = Flask(__name__)
    options = DripOptions(default_account=ACCOUNT)
    app.register_blueprint(tracking.create_tracking(KEYS, outbox, options, **chosen))
    return app


def post(app: Flask, path: str, body: Any, **kwargs: Any) -> TestResponse:
    kwargs = {**BASIC, **kwargs}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return app.test_client().post(f"/v1/{path}", data=data, **kwargs)


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "Signed Up", "userId": "u", "context": ANA, **fields}


def kept(store: Store) -> list[Row[Any]]:
    return list(rows(store).values())


def raw(store: Store) -> dict[str, Any]:
    """The only message, as it is kept beside its translation."""
    (row,) = kept(store)
    found: dict[str, Any] = json.loads(row.raw)
    return found


def is_success(answer: TestResponse) -> bool:
    return (answer.status_code, answer.get_json()) == (200, {"success": True})


# paths


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "body", "collection"),
    [
        ("identify", ANA, "identify"),
        ("i", ANA, "identify"),
        ("track", {"event": "Signed Up"}, "track"),
        ("t", {"event": "Signed Up"}, "track"),
        ("alias", {"previousId": "v"}, "alias"),
        ("a", {"previousId": "v"}, "alias"),
        ("track/", {"event": "Signed Up"}, "track"),
        ("track", {"event": "Signed Up", "type": "identify"}, "track"),
        *((path, {"name": "Home"}, None) for path in ("page", "p", "screen", "s", "group", "g")),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_the_path_says_what_a_call_is(
    path: str,
    body: dict[str, Any],
    collection: str | None,
    content_type: str | None,
    app: Flask,
    store: Store,
) -> None:
    answer = post(app, path, {"userId": "u", **body}, content_type=content_type)
    assert is_success(answer)
    assert [row.collection for row in kept(store)] == ([collection] if collection else [])


@pytest.mark.parametrize("path", ["batch", "b"])
def test_each_call_of_a_batch_says_what_it_is(path: str, app: Flask, store: Store) -> None:
    calls = [json.loads(call("m1")), track(messageId="m2"), {"type": "page", "userId": "u"}]
    assert is_success(post(app, path, {"batch": calls}))
    assert {name: row.collection for name, row in rows(store).items()} == {
        "m1": "identify",
        "m2": "track",
    }


def test_what_a_batch_says_counts_under_what_its_calls_say(app: Flask, store: Store) -> None:
    shared = {"context": {"ip": "198.51.100.9", "locale": "es"}, "integrations": {"Drip": False}}
    calls = [
        track(messageId="m1"),
        track(messageId="m2", integrations={"Drip": True}, context={**ANA, "locale": "en"}),
    ]
    assert is_success(post(app, "batch", {"batch": calls, **shared}))
    assert rows(store).keys() == {"m2"}
    assert raw(store)["context"] == {**ANA, "locale": "en", "ip": "198.51.100.9"}


@ON_SQLITE
@pytest.mark.parametrize("path", ["", "other", "identify/x", "import"])
def test_other_paths_are_unknown(path: str, app: Flask) -> None:
    assert post(app, path, ANA).status_code == 404


# who is let in


@ON_SQLITE
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("track", track(writeKey=KEY)),
        ("batch", {"batch": [track()], "writeKey": KEY}),
        ("batch", {"writeKey": KEY, "batch": [track(writeKey=KEY)]}),
    ],
)
@pytest.mark.parametrize(
    "kwargs",
    [BASIC, IN_BODY, {"auth": None, "headers": {"Authorization": "Bearer of-oauth"}}],
    ids=["basic", "body", "body beside oauth"],
)
def test_a_write_key_lets_in_and_is_not_kept(
    path: str, body: dict[str, Any], kwargs: dict[str, Any], app: Flask, store: Store
) -> None:
    assert is_success(post(app, path, body, **kwargs))
    (row,) = kept(store)
    assert row.state == "pending"
    assert KEY not in row.raw.decode()


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "kwargs"),
    [
        (track(), IN_BODY),
        (track(writeKey=f"{KEY}x"), IN_BODY),
        (track(writeKey=[KEY]), IN_BODY),
        (track(writeKey=""), IN_BODY),
        (track(context={"writeKey": KEY}), IN_BODY),
        (track(writeKey=KEY), {"auth": ("wrong", "")}),
        (track(), {"auth": ("", KEY)}),
        (track(), {"auth": None, "query_string": {"token": KEY}}),
        (track(), {"auth": None, "headers": {"Authorization": f"Bearer {KEY}"}}),
        (track(), {"auth": None, "headers": {"Authorization": "Basic clé"}}),
    ],
)
def test_nobody_else_is_let_in(
    body: dict[str, Any], kwargs: dict[str, Any], app: Flask, store: Store
) -> None:
    for path, sent in (("track", body), ("batch", {**body, "batch": [track()]})):
        answer = post(app, path, sent, **kwargs)
        assert answer.status_code == 401
        assert answer.get_json() == {
            "success": False,
            "code": "invalid_write_key",
            "message": "No valid write key.",
        }
        # for this one, a browser would ask the visitor of a site for a password
        assert "WWW-Authenticate" not in answer.headers
    assert kept(store) == []


def test_a_wrong_key_in_the_header_is_refused_before_the_body_is_read(app: Flask) -> None:
    too_large = b"x" * (LARGEST_BATCH + 1)
    assert post(app, "batch", too_large, auth=("wrong", "")).status_code == 401
    assert post(app, "batch", too_large, auth=None).status_code == 400


def test_a_key_may_be_for_an_account_of_its_own(app: Flask, store: Store) -> None:
    for key in KEYS:
        assert is_success(post(app, "track", track(messageId="m1"), auth=(key, "")))
        assert is_success(post(app, "track", track(messageId="m1", writeKey=key), auth=None))
    assert {name: row.account for name, row in rows(store).items()} == {
        "m1": ACCOUNT,
        "m1:5150": "5150",
    }


def test_the_webhooks_secret_is_no_write_key(outbox: GroupCommit, app: Flask) -> None:
    assert post(app, "track", track(), auth=(SECRET, "")).status_code == 401
    assert webhook_over(outbox).test_client().post("/v1/track").status_code == 404


@pytest.mark.parametrize("has_secret", [False, True])
@pytest.mark.parametrize("has_keys", [False, True])
def test_each_way_in_is_off_unless_it_has_a_secret(
    has_secret: bool, has_keys: bool, settings: Settings
) -> None:
    over = replace(
        settings,
        segment_webhook_secrets=(SECRET,) if has_secret else (),
        tracking_write_keys=KEYS if has_keys else {},
        drip_account_id=ACCOUNT,
    )
    with whole_app_over(over) as app:
        client = app.test_client()
        webhook = client.post("/webhooks/segment", data=call("m1"), query_string={"token": SECRET})
        tracked = post(app, "track", track())
        document = client.get(f"/v1/projects/{KEY}/settings")
        assert (bridge_of(app).segment_to_drip is not None) is (has_secret or has_keys)
    assert webhook.status_code == (200 if has_secret else 404)
    assert tracked.status_code == document.status_code == (200 if has_keys else 404)


# what Segment adds


def test_a_call_gets_its_times_and_an_id(app: Flask, store: Store) -> None:
    body = track(timestamp="2026-11-02T09:30:00Z", sentAt="2026-11-02T09:30:02Z")
    assert is_success(post(app, "track", body))
    (row,) = kept(store)
    found = raw(store)
    assert found["messageId"].startswith("api-")
    assert row.message_id == found["messageId"]
    assert found["originalTimestamp"] == "2026-11-02T09:30:00Z"
    assert found["sentAt"] == "2026-11-02T09:30:02Z"
    assert found["receivedAt"] > found["timestamp"] > "2026-11-02T09:30:00Z"


def test_the_same_call_without_an_id_counts_each_time(app: Flask, store: Store) -> None:
    assert is_success(post(app, "batch", {"batch": [track(), track()]}))
    assert is_success(post(app, "track", track()))
    assert len(kept(store)) == 3


def test_a_call_that_is_sent_again_is_kept_once(app: Flask, store: Store) -> None:
    for sent in ("2026-11-02T09:30:02Z", "2026-11-02T09:30:09Z"):
        body = {"batch": [track(messageId="m1")], "sentAt": sent}
        assert is_success(post(app, "batch", body, headers={"X-Retry-Count": "1"}))
    assert len(kept(store)) == 1


FROM_BROWSER = {"Origin": "https://shop.example"}
BEHIND_PROXY = {"X-Forwarded-For": "203.0.113.7, 198.51.100.9"}


@ON_SQLITE
@pytest.mark.parametrize(
    ("headers", "context", "trusted", "ip"),
    [
        ({**FROM_BROWSER, **BEHIND_PROXY}, {}, None, "198.51.100.9"),
        ({**FROM_BROWSER, **BEHIND_PROXY}, {}, 2, "203.0.113.7"),
        ({**FROM_BROWSER, **BEHIND_PROXY}, {}, 0, None),
        ({**FROM_BROWSER, "X-Forwarded-For": "2001:db8:1:2:3::4"}, {}, 1, "2001:db8:1:2:3::4"),
        ({**FROM_BROWSER, **BEHIND_PROXY}, {"ip": "192.0.2.1"}, None, "192.0.2.1"),
        (FROM_BROWSER, {}, None, None),
        (BEHIND_PROXY, {}, None, None),
        (BEHIND_PROXY, {"library": {"name": "analytics-python"}}, None, None),
        (BEHIND_PROXY, {"library": {"name": "@segment/analytics-node"}}, None, None),
        (BEHIND_PROXY, {"library": {"name": "analytics-swift"}}, None, "198.51.100.9"),
        (BEHIND_PROXY, {"direct": True}, None, "198.51.100.9"),
    ],
)
def test_the_address_of_a_persons_device_is_added(
    headers: Mapping[str, str],
    context: dict[str, Any],
    trusted: int | None,
    ip: str | None,
    outbox: GroupCommit,
    store: Store,
) -> None:
    app = app_over(outbox, trusted_proxies=trusted)
    assert is_success(post(app, "identify", {**ANA, "context": context}, headers=headers))
    assert raw(store).get("context", {}).get("ip") == ip
    assert json.loads(kept(store)[0].payload)["subscriber"].get("ip_address") == ip


@ON_SQLITE
@pytest.mark.parametrize(
    ("integrations", "is_kept"),
    [
        ({}, True),
        ({"All": True}, True),
        ({"Drip": False}, False),
        ({"All": True, "Drip (Actions)": False}, False),
        ({"All": False}, False),
        ({"All": False, "Mixpanel": True}, False),
        ({"All": False, "Drip": True}, True),
        ({"All": False, "Drip (Actions)": {"campaignId": "81048"}}, True),
        ({"All": False, "Drip": False, "Drip (Actions)": True}, False),
        ({"All": False, "drip": True}, False),
        ({"All": False, "Drip": None}, False),
        ({"All": None}, True),
        ("All", True),
    ],
)
def test_integrations_are_honoured_in_full(
    integrations: Any, is_kept: bool, app: Flask, store: Store
) -> None:
    assert is_success(post(app, "track", track(integrations=integrations)))
    assert is_success(post(app, "batch", {"batch": [track()], "integrations": integrations}))
    assert len(kept(store)) == 2 * is_kept


def test_all_false_of_segments_webhook_is_segments_own(outbox: GroupCommit, store: Store) -> None:
    body = call("m1", integrations={"All": False})
    answer = (
        webhook_over(outbox)
        .test_client()
        .post("/webhooks/segment", data=body, query_string={"token": SECRET})
    )
    assert answer.status_code == 200
    assert rows(store).keys() == {"m1"}


# limits, and what cannot be read


def of_size(size: int, **fields: Any) -> bytes:
    body = json.dumps({**track(**fields), "properties": {"x": ""}}).encode()
    return body.replace(b'"x": "', b'"x": "' + b"x" * (size - len(body)))


def test_a_call_may_have_32_kb(app: Flask, store: Store) -> None:
    assert is_success(post(app, "track", of_size(LARGEST_CALL)))
    answer = post(app, "track", of_size(LARGEST_CALL + 1))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "too_large")
    assert len(kept(store)) == 1


def test_a_call_over_32_kb_costs_no_other_of_its_batch(app: Flask, store: Store) -> None:
    calls = (of_size(LARGEST_CALL, messageId="m1"), of_size(LARGEST_CALL + 1))
    assert is_success(post(app, "batch", b'{"batch": [' + b",".join(calls) + b"]}"))
    fine, over = kept(store)
    assert (fine.message_id, fine.state) == ("m1", "pending")
    assert (over.state, over.raw) == ("quarantined", calls[1])
    assert "Over 32 KB." in over.error


@ON_SQLITE
@pytest.mark.parametrize("has_length", [True, False])
def test_a_batch_may_have_500_kb(has_length: bool, app: Flask, store: Store) -> None:
    body = json.dumps({"batch": [track()]}).encode()
    full = body + b" " * (LARGEST_BATCH - len(body))
    kwargs: dict[str, Any] = {} if has_length else {"environ_overrides": CHUNKED}
    assert is_success(post(app, "batch", full, **kwargs))
    answer = post(app, "batch", full + b" ", **kwargs)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "too_large")
    assert len(kept(store)) == 1


CHUNKED = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}


def test_a_batch_may_have_2500_calls(app: Flask, store: Store) -> None:
    page = b'{"type": "page", "userId": "u"}'
    most = b'{"batch": [' + b",".join([page] * (MOST_CALLS - 1) + [call("m1")])
    assert is_success(post(app, "batch", most + b"]}"))
    assert rows(store).keys() == {"m1"}
    over = most.replace(b"m1", b"m2") + b"," + page + b"]}"
    assert is_success(post(app, "batch", over))
    aside = kept(store)[1]
    assert (aside.state, aside.raw) == ("quarantined", over)
    assert "More than 2,500 calls." in aside.error


def test_a_call_that_cannot_be_read_costs_no_other_of_its_batch(app: Flask, store: Store) -> None:
    """Python's own JSON writes NaN, which is none."""
    odd = [
        b'{"type": "track", "event": "e", "userId": "u", "properties": {"x": NaN}}',
        b'"no call"',
        b'{"type": "track", "userId": "u"}',
        b'{"type": "track", "event": "e"}',
        b'{"userId": "u"}',
        b'{"type": "track", "event": "e", "userId": "u", "properties": '
        + b'{"x":' * 2_000
        + b"1"
        + b"}" * 2_001,
        b'{"type": "track", "event": "\xff", "userId": "u"}',
    ]
    calls = b",".join([call("m1"), *odd, call("m2")])
    assert is_success(post(app, "batch", b'{"batch": [' + calls + b"]}"))
    found = kept(store)
    assert [row.state for row in found] == ["pending", *["quarantined"] * len(odd), "pending"]
    assert found[1].raw == odd[0]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"null", b"\xff", b'{"a": 1', b'{"a": 1}}', b"{'a': 1}"],
)
def test_what_is_no_json_object_is_400_and_still_to_be_seen(
    body: bytes, app: Flask, store: Store
) -> None:
    for path in ("track", "batch"):
        answer = post(app, path, body, auth=None)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "invalid_json")
    assert kept(store) == []
    for path in ("track", "batch"):
        assert post(app, path, body).status_code == 400
    (aside,) = kept(store)
    assert (aside.state, aside.raw, aside.account) == ("quarantined", body, ACCOUNT)


@ON_SQLITE
@pytest.mark.parametrize("batch", [None, {}, "x", 1, ...])
def test_a_batch_without_an_array_is_set_aside(batch: Any, app: Flask, store: Store) -> None:
    body = {"sentAt": "2026-11-02T09:30:02Z", "batch": batch}
    if batch is ...:
        del body["batch"]
    assert is_success(post(app, "batch", body))
    (aside,) = kept(store)
    assert "Not a JSON array." in aside.error


def test_an_empty_batch_is_a_success(app: Flask, store: Store) -> None:
    assert is_success(post(app, "batch", {"batch": []}))
    assert kept(store) == []


def test_a_write_key_is_not_set_aside(app: Flask, store: Store) -> None:
    broken = json.dumps(track(writeKey=KEY)).encode()[:-1]
    assert post(app, "track", broken).status_code == 400
    (aside,) = kept(store)
    assert KEY.encode() not in aside.raw
    assert b"Signed Up" in aside.raw


def test_a_body_may_be_compressed(app: Flask, store: Store) -> None:
    packed = gzip.compress(json.dumps({"batch": [track(messageId="m1")]}).encode())
    headers = {"Content-Encoding": "gzip"}
    assert is_success(post(app, "batch", packed, headers=headers))
    assert rows(store).keys() == {"m1"}
    for body, code in (
        (packed[:-9], "invalid_json"),
        (b"plain", "invalid_json"),
        (gzip.compress(b" " * (LARGEST_BATCH + 1)), "too_large"),
    ):
        answer = post(app, "batch", body, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (400, code)


# what cannot be kept


def test_what_cannot_be_kept_is_asked_for_again(
    app: Flask, outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    def fail(_: object) -> set[str]:
        raise OutboxUnavailable("the disk is full")

    monkeypatch.setattr(outbox, "put_all", fail)
    for path, body in (("track", track()), ("batch", {"batch": [track()]})):
        answer = post(app, path, body)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "30"
        assert answer.get_json()["success"] is False
    assert "the disk is full" in logged.text


def test_what_the_database_refuses_is_set_aside(
    app: Flask, outbox: GroupCommit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_all = outbox.put_all

    def refuse(messages: Any) -> set[str]:
        if any(message.message_id == "m2" for message in messages):
            raise ContentRejected("never")
        return put_all(messages)

    monkeypatch.setattr(outbox, "put_all", refuse)
    calls = [track(messageId=name) for name in ("m1", "m2", "m3")]
    assert is_success(post(app, "batch", {"batch": calls}))
    assert sorted(row.state for row in kept(store)) == ["pending", "pending", "quarantined"]


def test_strangers_cannot_take_the_room_of_key_holders(
    outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "OF_STRANGERS", 20_000)
    app = app_over(outbox)
    body = of_size(25_000, writeKey=KEY)
    assert post(app, "track", body, auth=None).status_code == 503
    assert is_success(post(app, "track", body))


def test_what_is_inflated_takes_room_too(
    outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "OF_KEY_HOLDERS", LARGEST_BATCH - 1)
    packed = gzip.compress(json.dumps({"batch": [track()]}).encode())
    answer = post(app_over(outbox), "batch", packed, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 503


# browsers


@ON_SQLITE
@pytest.mark.parametrize("path", ["t", "track", "b", "projects/x/settings"])
def test_any_site_may_ask(path: str, app: Flask) -> None:
    preflight = app.test_client().options(
        f"/v1/{path}",
        headers={
            **FROM_BROWSER,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert preflight.headers["Access-Control-Allow-Headers"].startswith("Authorization, ")
    assert "Set-Cookie" not in preflight.headers


def test_each_answer_may_be_read_by_any_site(
    app: Flask, outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> set[str]:
        raise OutboxUnavailable("the disk is full")

    answers = [
        post(app, "t", track()),
        post(app, "t", track(), auth=None),
        post(app, "t", b"x" * (LARGEST_CALL + 1)),
        app.test_client().get("/v1/projects/wrong/settings"),
    ]
    monkeypatch.setattr(outbox, "put_all", fail)
    answers.append(post(app, "t", track()))
    assert [answer.status_code for answer in answers] == [200, 401, 400, 404, 503]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Retry-After" in answer.headers["Access-Control-Expose-Headers"]


@ON_SQLITE
@pytest.mark.parametrize(
    ("public_url", "headers", "host", "protocol"),
    [
        (None, {}, "localhost/v1", "http"),
        (None, {"X-Forwarded-Proto": "https"}, "localhost/v1", "https"),
        (None, {"X-Forwarded-Proto": "https,http"}, "localhost/v1", "https"),
        (None, {"X-Forwarded-Proto": "javascript"}, "localhost/v1", "http"),
        ("https://b.example.org", {}, "b.example.org/v1", "https"),
    ],
)
def test_analytics_js_gets_its_settings(
    public_url: str | None,
    headers: dict[str, str],
    host: str,
    protocol: str,
    outbox: GroupCommit,
) -> None:
    app = app_over(outbox, public_url=public_url)
    answer = app.test_client().get(f"/v1/projects/{KEY}/settings", headers=headers)
    assert answer.status_code == 200
    assert answer.get_json() == {
        "integrations": {"Segment.io": {"apiKey": KEY, "apiHost": host, "protocol": protocol}},
        "metrics": {"sampleRate": 0},
    }


def test_nothing_of_a_call_is_logged(app: Flask, logged: Logged) -> None:
    post(app, "track", track())
    post(app, "track", track(event=None, traits={"email": "canary@example.com"}))
    post(app, "track", track(), auth=("wrong-canary", ""))
    assert "accepted" in logged.text
    assert "quarantined" in logged.text
    assert "refused" in logged.text
    for secret in (KEY, "canary", "ana@example.com", "Signed Up"):
        assert secret not in logged.text
