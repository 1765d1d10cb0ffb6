"""What Segment's webhook answers and keeps, over a real database."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, Row
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app.database.engine import open_database
from app.database.schema import upgrade
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from app.segment_to_drip import webhook
from app.segment_to_drip.receiving import keeping
from app.segment_to_drip.receiving.elements import MOST_ELEMENTS
from tests.support.builders import rows
from tests.support.databases import ON_SQLITE
from tests.support.logged import Logged
from tests.support.segment_webhooks import (
    ACCOUNT,
    PATH,
    SECRET,
    batch,
    call,
    segment_webhooks,
    sign,
    webhook_over,
)

MIB = 1 << 20
TOKEN = {"token": SECRET}
PAGE = b'{"type": "page", "messageId": "p", "userId": "u"}'
ALIAS = b'{"type": "alias", "messageId": "al", "userId": "u", "previousId": "v"}'
NOT_A_CALL = b'{"cool": true}'


@pytest.fixture
def store(engine: Engine) -> Store:
    """Over each engine in turn."""
    return Store(engine, "drip")


@pytest.fixture
def outbox(store: Store) -> GroupCommit:
    return GroupCommit(store)


@pytest.fixture
def app(outbox: GroupCommit) -> Flask:
    return webhook_over(outbox)


def post(app: Flask, body: bytes, path: str = PATH, **kwargs: Any) -> TestResponse:
    kwargs.setdefault("query_string", TOKEN)
    return app.test_client().open(path, method=kwargs.pop("method", "POST"), data=body, **kwargs)


def signed(signature: str) -> dict[str, Any]:
    return {"query_string": {}, "headers": [("X-Signature", signature)]}


def kept(store: Store) -> list[Row[Any]]:
    return list(rows(store).values())


def counts(answer: TestResponse) -> tuple[int, ...]:
    assert answer.status_code == 200
    told = answer.get_json()
    return tuple(told[name] for name in ("accepted", "duplicates", "ignored", "quarantined"))


# who is admitted


@pytest.mark.parametrize("request_", segment_webhooks(), ids=lambda each: each["name"])
def test_what_segment_posts_is_kept(
    request_: dict[str, Any], outbox: GroupCommit, store: Store
) -> None:
    expected = request_["expect"]
    app = webhook_over(outbox, (request_["secret"], "another-secret-of-ours"))
    body = request_["raw_body"].encode()
    answer = app.test_client().open(
        PATH, method=request_["method"], data=body, headers=request_["headers"]
    )
    assert answer.status_code == expected["status"]
    found = rows(store)
    if expected["status"] == 401:
        assert not found
        return
    ids = [id_ for id_ in expected["message_ids"] if id_]
    assert [id_ for id_, row in found.items() if row.state == "pending"] == ids
    set_aside = [row for row in found.values() if row.state == "quarantined"]
    assert bool(set_aside) is expected.get("quarantined", False)
    assert answer.get_json()["quarantined"] == len(set_aside)
    assert all(row.raw in body for row in found.values())


@ON_SQLITE
@pytest.mark.parametrize(
    "kwargs",
    [
        {"query_string": TOKEN},
        {"query_string": {}, "auth": ("", SECRET)},
        {"query_string": {}, "headers": {"Authorization": f"Bearer {SECRET}"}},
        signed(sign(call("a"))),
        {**signed(sign(call("a"))), "query_string": {"token": "wrong"}},
        {**signed("not a signature"), "query_string": TOKEN},
    ],
    ids=["token", "basic", "bearer", "signature", "wrong token, signature", "token, no signature"],
)
def test_a_secret_or_a_signature_admits(kwargs: dict[str, Any], app: Flask, store: Store) -> None:
    assert counts(post(app, call("a"), **kwargs)) == (1, 0, 0, 0)
    assert [row.message_id for row in kept(store)] == ["a"]


class Watched(BytesIO):
    """A body that knows how much of it was read."""

    bytes_read = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.bytes_read += len(data)
        return data

    def readinto(self, buffer: Any, /) -> int:
        count = super().readinto(buffer)
        self.bytes_read += count
        return count


@ON_SQLITE
@pytest.mark.parametrize("account", ["", "/8838307", "/no-account"])
@pytest.mark.parametrize(
    ("kwargs", "is_read"),
    [
        ({"query_string": {}}, False),
        ({"query_string": {"token": "wrong"}}, False),
        ({"query_string": {"token": SECRET + "x"}}, False),
        ({"query_string": {}, "headers": {"X-Signature": SECRET}}, False),
        (signed(sign(call("a")).upper()), False),
        (signed(sign(call("a"))[:-1]), False),
        (signed(sign(call("a"), "another-secret")), True),
        (signed(sign(call("b"))), True),
        (signed("0" * 40), True),
    ],
    ids=str,
)
def test_nobody_else_is_admitted(
    kwargs: dict[str, Any], is_read: bool, account: str, app: Flask, store: Store
) -> None:
    body = Watched(call("a"))
    environ = {"CONTENT_LENGTH": str(len(call("a")))}
    answer = app.test_client().post(
        PATH + account, input_stream=body, environ_overrides=environ, **kwargs
    )
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.get_json()["status"] == "refused"
    assert bool(body.bytes_read) is is_read
    assert not kept(store)


def test_secrets_are_rotated_without_a_gap(outbox: GroupCommit) -> None:
    both = webhook_over(outbox, ("the-new-secret-16", SECRET))
    assert counts(post(both, call("a"), **signed(sign(call("a"))))) == (1, 0, 0, 0)
    after = webhook_over(outbox, ("the-new-secret-16",))
    assert post(after, call("b"), **signed(sign(call("b")))).status_code == 401
    new = sign(call("b"), "the-new-secret-16")
    assert counts(post(after, call("b"), **signed(new))) == (1, 0, 0, 0)


def test_without_a_secret_nobody_is_admitted(outbox: GroupCommit) -> None:
    app = webhook_over(outbox, ())
    assert post(app, call("a"), query_string={"token": ""}).status_code == 401
    assert post(app, call("a"), **signed(sign(call("a"), ""))).status_code == 401


# where it may be posted


@ON_SQLITE
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}/{ACCOUNT}", f"{PATH}/{ACCOUNT}/"])
def test_each_method_and_spelling_of_the_address_will_do(
    method: str, path: str, app: Flask, store: Store
) -> None:
    assert counts(post(app, call("a"), path, method=method)) == (1, 0, 0, 0)
    assert [(row.account, row.message_id) for row in kept(store)] == [(ACCOUNT, "a")]


@ON_SQLITE
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_another_method_is_refused(method: str, app: Flask) -> None:
    assert post(app, call("a"), method=method).status_code == 405


def test_each_account_has_its_own_copy_of_an_event(app: Flask, store: Store) -> None:
    for path in (PATH, f"{PATH}/5150", f"{PATH}/5150", f"{PATH}/{ACCOUNT}"):
        post(app, call("a"), path)
    assert [(row.account, row.message_id) for row in kept(store)] == [
        (ACCOUNT, "a"),
        ("5150", "a:5150"),
    ]


@ON_SQLITE
@pytest.mark.parametrize(
    ("account", "shown"),
    [
        ("account", "account"),
        ("8838307x", "8838307x"),
        ("88/38", "88?38"),
        ("%00%ff'", "???"),
        ("é", "?"),
        ("9" * 500, "9" * 40),
        ("%F0%9F%98%80", "?"),
        ("٣", "?"),
    ],
)
def test_an_account_that_is_none_costs_no_event(
    account: str, shown: str, app: Flask, store: Store
) -> None:
    answer = post(app, batch([call("a"), PAGE, b"3"]), f"{PATH}/{account}")
    assert counts(answer) == (0, 0, 1, 2)
    assert "account" in answer.get_json()["reasons"]["quarantined"]["0"]
    assert [(row.state, row.raw, row.account) for row in kept(store)] == [
        ("quarantined", call("a"), shown),
        ("quarantined", b"3", shown),
    ]


def test_without_an_account_of_its_own_the_bridge_keeps_events_all_the_same(
    outbox: GroupCommit, store: Store
) -> None:
    assert counts(post(webhook_over(outbox, default_account=""), call("a"))) == (1, 0, 0, 0)
    assert [(row.account, row.state) for row in kept(store)] == [("", "pending")]


# what becomes of the events of a request


def test_an_event_alone_is_told_with_its_id(app: Flask, store: Store) -> None:
    before = time.time()
    answer = post(app, b" " + call("a") + b"\n")
    assert answer.content_type == "application/json"
    assert answer.get_json() == {
        "status": "accepted",
        "accepted": 1,
        "duplicates": 0,
        "ignored": 0,
        "quarantined": 0,
        "reasons": {"ignored": {}, "quarantined": {}},
        "message_id": "a",
    }
    (row,) = kept(store)
    assert (row.raw, row.state, row.collection) == (b" " + call("a") + b"\n", "pending", "identify")
    assert before <= row.received_at == row.due_at <= time.time()
    again = post(app, call("a", userId="somebody else")).get_json()
    assert (again["status"], again["message_id"], again["duplicates"]) == ("duplicate", "a", 1)


def test_each_event_of_a_batch_has_its_own_outcome(app: Flask, store: Store) -> None:
    post(app, call("a"))
    events = [
        call("a"),
        call("b"),
        PAGE,
        NOT_A_CALL,
        call("b", userId="x"),
        ALIAS,
        b"[]",
        call("c"),
    ]
    answer = post(app, b" [ " + b" ,\n ".join(events) + b"]  ")
    assert counts(answer) == (2, 2, 2, 2)
    told = answer.get_json()
    assert told["status"] == "accepted"
    assert "message_id" not in told
    assert told["reasons"]["ignored"] == {"alias": 1, "page": 1}
    assert list(told["reasons"]["quarantined"]) == ["3", "6"]
    assert all(errors for errors in told["reasons"]["quarantined"].values())
    assert [(row.state, row.raw) for row in kept(store)] == [
        ("pending", call("a")),
        ("pending", call("b")),
        ("quarantined", NOT_A_CALL),
        ("pending", ALIAS),
        ("quarantined", b"[]"),
        ("pending", call("c")),
    ]


@ON_SQLITE
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", "accepted"),
        (b" [ ] ", "accepted"),
        (batch([call("a"), PAGE, NOT_A_CALL]), "accepted"),
        (batch([call("old"), PAGE, NOT_A_CALL]), "duplicate"),
        (batch([PAGE, NOT_A_CALL]), "ignored"),
        (PAGE, "ignored"),
        (ALIAS, "ignored"),
        (batch([NOT_A_CALL]), "quarantined"),
        (b"", "quarantined"),
    ],
    ids=lambda value: ascii(value[:30]),
)
def test_a_request_is_called_by_the_best_that_happened(
    body: bytes, status: str, app: Flask
) -> None:
    post(app, call("old"))
    answer = post(app, body)
    assert answer.status_code == 200
    assert answer.get_json()["status"] == status


def test_a_retry_with_other_contents_is_told_apart_event_by_event(app: Flask) -> None:
    assert counts(post(app, batch(map(call, "abc")))) == (3, 0, 0, 0)
    assert counts(post(app, batch(map(call, "cdea")))) == (2, 2, 0, 0)
    assert counts(post(app, call("e"))) == (0, 1, 0, 0)


def test_what_cannot_be_read_is_kept_once_and_told_each_time(app: Flask, store: Store) -> None:
    for _ in range(2):
        assert counts(post(app, NOT_A_CALL)) == (0, 0, 0, 1)
    assert len(kept(store)) == 1


def test_a_wrapper_is_taken_off(app: Flask, store: Store) -> None:
    wrapped = [b'{"json": %s }' % call(name) for name in "ab"]
    answer = post(app, batch(wrapped), **signed(sign(call("a"))))
    assert counts(answer) == (2, 0, 0, 0)
    assert counts(post(app, b'{"json":%s}' % call("c"))) == (1, 0, 0, 0)
    assert [row.raw for row in kept(store)] == [call("a"), call("b"), call("c")]


WHOLE = {
    "form": b"messageId=m-1&type=identify",
    "body": b'{"body": "messageId=m-1&type=identify"}',
    "cut off": batch(map(call, "abc"))[:-1],
    "no comma": b"[" + call("a") + call("b") + b"]",
    "two arrays": b"[1][2]",
    "lines": call("a") + b"\n" + call("b"),
    "too many": b"[" + b"1," * MOST_ELEMENTS + b"1]",
}


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_what_is_no_batch_is_set_aside_whole(body: bytes, app: Flask, store: Store) -> None:
    assert counts(post(app, body)) == (0, 0, 0, 1)
    assert [(row.state, row.raw) for row in kept(store)] == [("quarantined", body)]


@pytest.mark.parametrize(
    "odd",
    [
        b"[" * 5_000 + b"]" * 5_000,
        b'{"type": "track", "properties": {"n": %s}}' % (b"9" * 5_000),
        b'{"type": "track", "event": "\xff\xed\xa0\x80"}',
        b'{"type": "track", "event": NaN}',
        b'{"type": "track", "event": "a\x00b"}',
    ],
    ids=lambda odd: ascii(odd[:40]),
)
def test_an_event_that_cannot_be_parsed_costs_no_other(
    odd: bytes, app: Flask, store: Store
) -> None:
    assert counts(post(app, batch([call("a"), odd, call("b")]))) == (2, 0, 0, 1)
    assert [row.raw for row in kept(store)] == [call("a"), odd, call("b")]


def test_follow_ups_are_kept_and_not_counted(outbox: GroupCommit, store: Store) -> None:
    app = webhook_over(outbox, campaign_id="c1")
    assert counts(post(app, batch([call("a"), call("b")]))) == (2, 0, 0, 0)
    assert [row.message_id for row in kept(store)] == ["a", "a/campaign", "b", "b/campaign"]
    assert counts(post(app, call("a"))) == (0, 1, 0, 0)


def test_only_some_of_many_errors_are_told(app: Flask, store: Store) -> None:
    answer = post(app, batch(b"%d" % n for n in range(500)))
    assert counts(answer) == (0, 0, 0, 500)
    assert len(answer.get_json()["reasons"]["quarantined"]) == 20
    assert len(kept(store)) == 500


def test_the_largest_batch_is_kept_with_one_commit_and_in_time(app: Flask, store: Store) -> None:
    events = [call(f"m{n}", filling="x" * 1_000) for n in range(4_000)]
    began = time.monotonic()
    assert counts(post(app, batch(events))) == (4_000, 0, 0, 0)
    assert time.monotonic() - began < 10  # after which Segment gives up
    assert [row.raw for row in kept(store)] == events
    assert counts(post(app, batch(events))) == (0, 4_000, 0, 0)


def test_a_batch_lets_others_go_on(
    app: Flask, outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    monkeypatch.setattr(outbox, "let_others_run", lambda: turns.append(None))
    monkeypatch.setattr(keeping, "TURN", 0)
    post(app, batch(b"%d" % n for n in range(1_000)))
    assert len(turns) > 100


# when it cannot be kept


def assert_asked_for_again(answer: TestResponse) -> None:
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "30"
    assert answer.get_json()["status"] == "not kept"


def test_what_cannot_be_kept_is_asked_for_again(
    app: Flask, store: Store, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.group_commit.LONGEST_WAIT", 0.15)
    post(app, call("before"))
    both = batch([call("a"), call("b")])
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE events IN EXCLUSIVE MODE")
        assert_asked_for_again(post(app, both))
    assert sum(counts(post(app, both))[:2]) == 2  # it may have been written since
    assert [row.message_id for row in kept(store)] == ["before", "a", "b"]


def test_a_fault_costs_no_event_and_tells_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    def fault(*_: Any) -> None:
        raise KeyError("canary")

    monkeypatch.setattr(webhook, "translate", fault)
    answer = post(app, call("a"))
    assert_asked_for_again(answer)
    assert b"canary" not in answer.get_data()
    assert "canary" not in logged.text
    assert "KeyError" in logged.text


def test_half_a_body_is_asked_for_again(app: Flask, store: Store) -> None:
    for kwargs in ({}, signed(sign(call("a")))):
        answer = app.test_client().post(
            PATH,
            **{"query_string": TOKEN, **kwargs},
            input_stream=BytesIO(call("a")[:50]),
            environ_overrides={"CONTENT_LENGTH": str(len(call("a")))},
        )
        assert_asked_for_again(answer)
    assert not kept(store)


def test_a_full_quarantine_holds_up_no_event(
    app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.quarantine.MOST_BYTES", 500)
    assert_asked_for_again(post(app, batch([call("a"), NOT_A_CALL, call("b")])))
    assert [row.message_id for row in kept(store)] == ["a", "b"]


REFUSE = """
    CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.email LIKE '%bad@%'
    BEGIN SELECT raise(ABORT, 'canary'); END
"""


def test_what_the_database_refuses_is_set_aside_alone(on_sqlite: Store, logged: Logged) -> None:
    store = on_sqlite
    with store.engine.begin() as connection:
        connection.exec_driver_sql(REFUSE)
    names = [f"m{n}" for n in range(50)]
    names[7], names[31] = "first-bad", "second-bad"

    answer = post(webhook_over(GroupCommit(store)), batch(map(call, names)))

    assert counts(answer) == (48, 0, 0, 2)
    assert answer.get_json()["reasons"]["quarantined"].keys() == {"7", "31"}
    assert [row.raw for row in kept(store)] == [call(name) for name in names]
    assert [row.raw for row in kept(store) if row.state == "quarantined"] == [
        call("first-bad"),
        call("second-bad"),
    ]
    assert "bad@example.com" not in logged.text


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Iterator[Store]:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)
    yield Store(engine, "drip")
    engine.dispose()


# how large it may be

CHUNKED = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}


@ON_SQLITE
@pytest.mark.parametrize("admitted_by", ["token", "signature"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_body_over_8_mib_is_refused(
    admitted_by: str, chunked: bool, app: Flask, store: Store
) -> None:
    body = b"x" * (8 * MIB + 1)
    kwargs = {"query_string": TOKEN} if admitted_by == "token" else signed(sign(body))
    stream = Watched(body)
    answer = app.test_client().put(
        PATH,
        input_stream=stream,
        environ_overrides=CHUNKED if chunked else {"CONTENT_LENGTH": str(len(body))},
        **kwargs,
    )
    assert answer.status_code == 413
    assert answer.get_json() == {"status": "refused", "error": "Request Entity Too Large"}
    assert bool(stream.bytes_read) is chunked
    assert not kept(store)


def test_a_body_of_8_mib_is_kept(app: Flask, store: Store) -> None:
    bare = call("a", filling="")
    body = call("a", filling="x" * (8 * MIB - len(bare)))
    assert len(body) == 8 * MIB
    assert post(app, body, **signed(sign(body))).status_code == 200
    assert [row.raw for row in kept(store)] == [body]


def test_signers_cannot_take_the_memory_of_token_holders(
    outbox: GroupCommit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "OF_SIGNERS", 30_000)
    app = webhook_over(outbox)
    body = call("a", filling="x" * 20_000)

    class During(BytesIO):
        """A body during whose reading another one comes."""

        def __init__(self, then: Callable[[], None]) -> None:
            super().__init__(body)
            self._then: Callable[[], None] | None = then

        def read(self, size: int | None = -1, /) -> bytes:
            then, self._then = self._then, None
            if then:
                then()
            return super().read(size)

        def readinto(self, buffer: Any, /) -> int:
            data = self.read(len(buffer))
            buffer[: len(data)] = data
            return len(data)

    def meanwhile() -> None:
        assert_asked_for_again(post(app, body, **signed("0" * 40)))
        assert counts(post(app, call("b"), **signed(sign(call("b"))))) == (1, 0, 0, 0)  # small
        assert counts(post(app, body)) == (1, 0, 0, 0)

    answer = app.test_client().post(
        PATH,
        input_stream=During(meanwhile),
        environ_overrides={"CONTENT_LENGTH": str(len(body))},
        **signed("0" * 40),
    )
    assert answer.status_code == 401
    assert counts(post(app, body, **signed(sign(body)))) == (0, 1, 0, 0)  # there is room again


# what is told of it


def test_one_line_is_logged_for_a_request(app: Flask, logged: Logged) -> None:
    post(app, batch([call("canary"), PAGE, NOT_A_CALL]))
    post(app, call("canary"))
    first, second = (line for line in logged.text.splitlines() if "seconds" in line)
    told = {"accepted": 1, "duplicates": 0, "ignored": 1, "quarantined": 1}
    assert all(f"'{name}': {count}" in first for name, count in told.items())
    assert "'event': 'duplicate'" in second
    assert ["'log_level': 'warning'" in line for line in (first, second)] == [True, False]
    assert "canary" not in logged.text


def test_no_refusal_quotes_a_secret(app: Flask, logged: Logged) -> None:
    for kwargs in (
        {"query_string": {"token": "canary"}},
        {"query_string": {}, "auth": ("canary", "canary")},
        signed("canary"),
    ):
        answer = post(app, b'{"canary": 1}', **kwargs)
        assert b"canary" not in answer.get_data()
    assert "canary" not in logged.text


def test_the_token_may_have_any_user_beside_it(app: Flask) -> None:
    credentials = b64encode(f"segment:{SECRET}".encode()).decode()
    headers: Mapping[str, str] = {"Authorization": f"Basic {credentials}"}
    assert counts(post(app, call("a"), query_string={}, headers=headers)) == (1, 0, 0, 0)


@ON_SQLITE
@pytest.mark.parametrize(
    "content_type", [None, "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_the_content_type_does_not_matter(content_type: str | None, app: Flask) -> None:
    assert counts(post(app, call("a"), content_type=content_type)) == (1, 0, 0, 0)
    assert json.loads(post(app, call("a"), content_type=content_type).get_data())
