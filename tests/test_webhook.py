"""Each row of the webhook's table of answers, over a real database."""

import json
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, Row, delete, select
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app import create_app
from app.bridge import OF_THE_REST, bridge_of
from app.config.settings import Settings
from app.database.engine import BUSY_SECONDS
from app.database.schema import upgrade
from app.database.tables import events, whole
from app.monitoring.checks import failed_checks
from tests.bridge_process import ROOT
from tests.conftest import TOKEN, Said
from tests.support.builders import payload_of, translated

MIB = 1024 * 1024

CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
"""How gunicorn hands on a chunked body: it has no length, and the server ends it."""

OPENED = (ROOT / "samples" / "opened_email.json").read_bytes()
CLICKED = (ROOT / "samples" / "clicked_email.json").read_bytes()
NOBODY = b'{"event": "subscriber.opened_email",\r\n "data": {"subscriber": {}}}\n'


def changed(old: bytes, new: bytes, body: bytes = OPENED) -> bytes:
    """The body with one piece of its JSON replaced."""
    assert body.count(old) == 1
    return body.replace(old, new)


CREATED = changed(b"subscriber.opened_email", b"subscriber.created")

UNREADABLE = {
    "nothing": b"",
    "bytes": bytes(range(256)),
    "form": b"event=subscriber.opened_email&email=ana%40example.com",
    "nan": changed(b'"d1"', b"NaN"),
    "1e400": changed(b'"d1"', b"1e400"),
    "digits": changed(b'"d1"', b"9" * 5000),
    "deep": changed(b'"d1"', b"[" * 100_000),
    "deep, closed": changed(b'"d1"', b"[" * 900 + b"]" * 900),
    "workflow": b'{"subscriber": {"id": "s9x", "email": "ana@example.com"}}',
    "nobody": NOBODY,
    "when": changed(b"2026-11-02T", b"yesterday T"),
    "over 32 KB": changed(b"Hola", b"x" * (32 << 10)),
    "1 MiB": b"x" * MIB,
}

ODD_TEXT = {
    "nul": changed(b"Hola", b"\\u0000"),
    "surrogate": changed(b"Hola", b"\\ud800"),
    "utf-16": OPENED.decode().encode("utf-16"),
    "nul in the user_id": changed(b"u-81", b"u\\u0000"),
    "surrogate in a name": changed(b"email_subject", b"\\udfff"),
}


CANARY = b"canary"
SECRETIVE = json.dumps(
    {
        "event": "subscriber.clicked_email",
        "occurred_at": "2026-11-02T09:30:00Z",
        "data": {
            "account_id": "4417",
            "subscriber": {
                "id": "canary-id",
                "email": "canary@example.com",
                "user_id": "canary-user",
                "time_zone": "canary-zone",
                "custom_fields": {"canary": "canary"},
            },
            "properties": {"email_subject": "canary", "url": "canary", "canary": ["canary"]},
        },
    }
).encode()

SAID_TO: dict[str, tuple[bytes, str]] = {
    "not JSON": (SECRETIVE[:-1], "quarantined"),
    "escape": (changed(b"canary-zone", b"canary\\canary", SECRETIVE), "quarantined"),
    "not text": (changed(b"canary-zone", b"canary\xff", SECRETIVE), "quarantined"),
    "NaN": (changed(b'"canary-zone"', b"NaN", SECRETIVE), "quarantined"),
    "1e400": (changed(b'["canary"]', b"1e400", SECRETIVE), "quarantined"),
    "when": (changed(b"2026-11-02T09:30:00Z", b"canary", SECRETIVE), "quarantined"),
    "account": (changed(b'"4417"', b'"4417 canary"', SECRETIVE), "quarantined"),
    "types": (changed(b'"canary-user"', b'["canary"]', SECRETIVE), "quarantined"),
    "fields": (changed(b'"data"', b'"canary"', SECRETIVE), "quarantined"),
    "oversize": (changed(b'["canary"]', b'"%s"' % (CANARY * 9000), SECRETIVE), "quarantined"),
    "deep": (changed(b'["canary"]', b"[" * 900 + b"]" * 900, SECRETIVE), "quarantined"),
    "event": (SECRETIVE, "accepted"),
    "again": (SECRETIVE, "duplicate"),
    "other": (changed(b"clicked_email", b"created", SECRETIVE), "ignored"),
    "over 1 MiB": (CANARY * 200_000, "refused"),
}


def post(client: FlaskClient, body: bytes, token: str = TOKEN, **kwargs: Any) -> TestResponse:
    kwargs.setdefault("query_string", {"token": token})
    return client.post("/webhooks/drip", data=body, **kwargs)


def rows_of(app: Flask) -> list[Row[Any]]:
    reader = bridge_of(app).store.engine.execution_options(isolation_level="AUTOCOMMIT")
    with reader.connect() as connection:
        return list(connection.execute(select(whole).order_by(events.c.id)))


@contextmanager
def app_over(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    bridge_of(app).close()


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


def assert_not_kept(response: TestResponse) -> None:
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert response.get_json()["status"] == "not kept"


@contextmanager
def write_lock_of(app: Flask) -> Iterator[None]:
    """Hold what any other write has to wait for, longer than a caller does."""
    with pytest.MonkeyPatch.context() as patch, bridge_of(app).store.engine.begin():
        patch.setattr("app.outbox.group_commit.LONGEST_WAIT", 0.15)
        yield


def assert_logged_without_canary(said: Said, capfd: pytest.CaptureFixture[str]) -> None:
    lines = said.text + "".join(capfd.readouterr())
    assert "app.web.receiver" in lines
    assert "canary" not in lines


def post_at_once(app: Flask, bodies: list[bytes]) -> list[tuple[int, str]]:
    """Post each from a thread of its own, all at one moment; status codes and statuses."""
    start = threading.Barrier(len(bodies))
    answers: list[tuple[int, str]] = []

    def send(body: bytes) -> None:
        client = app.test_client()
        start.wait()
        response = post(client, body)
        answers.append((response.status_code, response.get_json()["status"]))

    threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def app_on_each_engine(engine: Engine, settings: Settings) -> Iterator[Flask]:
    """The app over each engine in turn."""
    with app_over(replace(settings, database_url=engine.url)) as app:
        yield app


def test_an_event_is_accepted_and_kept(app: Flask, client: FlaskClient) -> None:
    before = time.time()
    response = post(client, CLICKED)

    call = translated(CLICKED)
    assert response.status_code == 200
    assert response.content_type == "application/json"
    assert response.get_json() == {
        "status": "accepted",
        "event": "Email Link Clicked",
        "message_id": call.message_id,
    }
    (row,) = rows_of(app)
    assert row.raw == CLICKED
    assert (row.message_id, row.payload, row.account) == (call.message_id, call.payload, "4417")
    assert (row.state, row.error, row.tries) == ("pending", None, 0)
    assert before <= row.received_at == row.due_at <= time.time()


def test_pages_that_have_all_their_connections_take_none_of_the_webhooks(
    settings: Settings, postgres_url: str
) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    with app_over(replace(settings, database_url=url)) as app, ExitStack() as pages:
        pages_engine = bridge_of(app).store.engine
        upgrade(pages_engine)
        for _ in range(OF_THE_REST):
            pages.enter_context(pages_engine.connect())
        began = time.monotonic()
        assert post(app.test_client(), OPENED).status_code == 200
        assert time.monotonic() - began < BUSY_SECONDS


def test_a_full_quarantine_takes_no_more_and_events_go_on(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.quarantine.MOST_BYTES", 5_000)
    answers = [post(client, b"%d" % n + b"x" * 1_000).status_code for n in range(4)]
    assert answers == [200, 200, 429, 429]
    assert post(client, OPENED).get_json()["status"] == "accepted"
    assert len(rows_of(app)) == 3

    bridge = bridge_of(app)
    assert "Quarantine has its" in str(
        failed_checks(bridge.stats.latest(), bridge.segment.labels, time.time())
    )
    with bridge.store.engine.begin() as connection:
        connection.execute(delete(events).where(events.c.state == "quarantined"))
    bridge.stats._take()  # noqa: SLF001 - as it does by itself, later
    assert post(client, b"x").get_json()["status"] == "quarantined"


REFUSE = """
    CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.email LIKE 'ana@%'
    BEGIN SELECT raise(ABORT, 'canary'); END
"""


def test_an_event_refused_by_the_database_for_its_content_is_quarantined(
    app: Flask, client: FlaskClient
) -> None:
    post(client, NOBODY)
    with bridge_of(app).store.engine.begin() as connection:
        connection.exec_driver_sql(REFUSE)

    response = post(client, OPENED)

    assert (response.status_code, response.get_json()["status"]) == (200, "quarantined")
    row = rows_of(app)[-1]
    assert (row.state, row.raw) == ("quarantined", OPENED)
    assert "The database refuses it" in row.error


def test_an_event_without_a_time_is_sent_with_the_time_of_receipt(
    app: Flask, client: FlaskClient
) -> None:
    post(
        client, b'{"event": "subscriber.bounced", "data": {"subscriber": {"email": "a@b.example"}}}'
    )
    (row,) = rows_of(app)
    told = json.loads(row.payload)["timestamp"]
    assert told == json.loads(payload_of(row.raw, row.received_at))["timestamp"]


def test_an_event_seen_before_is_a_duplicate_and_not_kept_twice(
    app: Flask, client: FlaskClient
) -> None:
    first = post(client, OPENED).get_json()
    again = post(client, changed(b"Europe/Madrid", b"Europe/Lisbon"))
    assert again.status_code == 200
    assert again.get_json() == {"status": "duplicate", "message_id": first["message_id"]}
    assert [row.raw for row in rows_of(app)] == [OPENED]


def test_another_event_of_the_same_person_is_no_duplicate(app: Flask, client: FlaskClient) -> None:
    assert post(client, OPENED).get_json()["status"] == "accepted"
    assert post(client, changed(b"29:30Z", b"29:31Z")).get_json()["status"] == "accepted"
    assert len(rows_of(app)) == 2


def test_what_is_not_an_email_event_is_ignored_and_not_kept(
    app: Flask, client: FlaskClient
) -> None:
    response = post(client, CREATED)
    assert response.status_code == 200
    assert response.get_json() == {"status": "ignored", "event": "subscriber.created"}
    post(client, OPENED)  # the first put makes the table
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_quarantined_to_the_byte(
    body: bytes, app: Flask, client: FlaskClient
) -> None:
    response = post(client, body)
    assert response.status_code == 200
    answer = response.get_json()
    assert answer["status"] == "quarantined"
    assert "fault" not in response.get_data(as_text=True)
    (row,) = rows_of(app)
    assert row.raw == body
    assert (row.state, row.payload) == ("quarantined", None)
    assert json.loads(row.error) == answer["errors"] != {}


def test_a_quarantined_post_is_told_why_field_by_field(client: FlaskClient) -> None:
    assert post(client, NOBODY).get_json() == {
        "status": "quarantined",
        "errors": {
            "data.subscriber": ["Neither user_id nor email: nobody to attribute the event to."]
        },
    }


def test_the_same_unreadable_body_is_kept_once(app: Flask, client: FlaskClient) -> None:
    answers = [post(client, NOBODY).get_json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["status"] == "quarantined"
    post(client, NOBODY + b" ")
    assert [row.raw for row in rows_of(app)] == [NOBODY, NOBODY + b" "]


@pytest.mark.parametrize("body", ODD_TEXT.values(), ids=ODD_TEXT)
def test_text_that_databases_refuse_is_accepted_all_the_same(
    body: bytes, app_on_each_engine: Flask
) -> None:
    response = post(app_on_each_engine.test_client(), body)
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app_on_each_engine)] == [body]


def test_what_cannot_be_read_is_quarantined_on_each_engine(app_on_each_engine: Flask) -> None:
    client = app_on_each_engine.test_client()
    bodies = list(UNREADABLE.values())
    answers = [post(client, body).get_json()["status"] for body in bodies]
    assert answers == ["quarantined"] * len(bodies)
    assert [row.raw for row in rows_of(app_on_each_engine)] == bodies


@pytest.mark.parametrize(
    "kwargs",
    [
        {"query_string": ""},
        {"query_string": "token="},
        {"query_string": "token=a-token-for-the-test"},
        {"query_string": f"token={TOKEN}x"},
        {"query_string": f"token=wrong&token={TOKEN}"},
        {"query_string": f"TOKEN={TOKEN}"},
        {"query_string": "token=%ff%00"},
        {"query_string": "", "auth": ("", "wrong")},
        {"query_string": "", "auth": (TOKEN, "")},
        {"query_string": "token=wrong", "auth": ("", TOKEN)},
        {"query_string": "", "headers": {"Authorization": "Bearer a-token-of-somebody"}},
        {"query_string": "", "headers": {"X-Token": TOKEN}},
    ],
    ids=str,
)
@pytest.mark.parametrize("body", [OPENED, b"not json"], ids=["event", "not json"])
def test_without_the_token_nothing_is_kept(
    kwargs: Mapping[str, Any], body: bytes, app: Flask, client: FlaskClient
) -> None:
    response = post(client, body, **kwargs)
    assert response.status_code == 401
    assert response.get_json() == {"status": "refused", "error": "Token missing or wrong."}
    assert response.headers["WWW-Authenticate"].startswith("Basic ")
    post(client, CLICKED)
    assert [row.raw for row in rows_of(app)] == [CLICKED]


def test_the_token_in_a_posted_form_does_not_count(client: FlaskClient) -> None:
    form = {"content_type": "application/x-www-form-urlencoded", "query_string": ""}
    assert post(client, f"token={TOKEN}".encode(), **form).status_code == 401


@pytest.mark.parametrize("user", ["", "drip", "é"])
def test_the_token_may_come_as_the_basic_password(user: str, client: FlaskClient) -> None:
    credentials = b64encode(f"{user}:{TOKEN}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    response = post(client, OPENED, query_string="", headers=headers)
    assert response.get_json()["status"] == "accepted"


def test_while_a_token_is_rotated_out_both_are_known(settings: Settings) -> None:
    tokens = ("the-token-to-come-in", "the-token-to-go-out")
    with app_over(replace(settings, webhook_tokens=tokens)) as app:
        client = app.test_client()
        statuses = [post(client, OPENED, token).status_code for token in (*tokens, TOKEN)]
    assert statuses == [200, 200, 401]


OF_4417, OF_5150 = "the-token-of-account-4417", "the-token-of-account-5150"


@pytest.fixture
def bound(settings: Settings) -> Iterator[Flask]:
    """A bridge with a token for any account, and one for each of two."""
    with app_over(replace(settings, account_tokens={OF_4417: "4417", OF_5150: "5150"})) as app:
        yield app


def test_a_token_of_one_account_posts_for_that_account_alone(bound: Flask) -> None:
    client = bound.test_client()
    of_4417, of_nobody = OPENED, changed(b'"account_id": "4417",', b"")
    outcomes = [
        post(client, body, token).get_json()
        for body, token in [(of_4417, OF_5150), (of_nobody, OF_4417), (of_4417, OF_4417)]
    ]
    assert [outcome["status"] for outcome in outcomes] == ["quarantined", "quarantined", "accepted"]
    assert list(outcomes[0]["errors"]) == list(outcomes[1]["errors"]) == ["data.account_id"]
    assert sorted((row.state, row.account) for row in rows_of(bound)) == [
        ("pending", "4417"),
        ("quarantined", "4417"),
        ("quarantined", "5150"),
    ]
    assert post(client, of_4417, OF_4417 + "x").status_code == 401


def test_another_accounts_event_stays_in_quarantine_when_it_is_read_again(bound: Flask) -> None:
    post(bound.test_client(), OPENED, OF_5150)
    bound.test_cli_runner().invoke(args=("requeue", "--quarantined"))
    assert [(row.state, row.account) for row in rows_of(bound)] == [("quarantined", "5150")]


def test_a_bridge_without_a_token_admits_nobody(settings: Settings) -> None:
    with app_over(replace(settings, webhook_tokens=())) as app:
        assert post(app.test_client(), OPENED, "").status_code == 401


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("size", [MIB + 1, 3 * MIB])
def test_a_body_over_1_mib_is_refused(
    chunked: bool, size: int, app: Flask, client: FlaskClient
) -> None:
    stream = Watched(b"x" * size)
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=stream,
        environ_overrides=CHUNKED if chunked else {},
    )
    assert response.status_code == 413
    assert stream.bytes_read <= 2 * MIB
    assert response.get_json() == {"status": "refused", "error": "Request Entity Too Large"}
    post(client, OPENED)
    assert [row.raw for row in rows_of(app)] == [OPENED]


def test_a_chunked_body_is_read_whole(app: Flask, client: FlaskClient) -> None:
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=BytesIO(OPENED),
        environ_overrides=CHUNKED,
    )
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("terminated", [False, True], ids=["by the client", "by the server"])
def test_half_a_body_is_not_kept(terminated: bool, app: Flask, client: FlaskClient) -> None:
    response = client.post(
        f"/webhooks/drip?token={TOKEN}",
        input_stream=BytesIO(OPENED[:100]),
        environ_overrides={
            "CONTENT_LENGTH": str(len(OPENED)),
            "wsgi.input_terminated": terminated,
        },
    )
    assert response.status_code == 400
    assert response.get_json() == {"status": "refused", "error": "Bad Request"}
    post(client, CLICKED)
    assert [row.raw for row in rows_of(app)] == [CLICKED]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; charset=utf-16",
        "image/png",
        "no type at all",
    ],
)
def test_the_content_type_does_not_matter(
    content_type: str | None, app: Flask, client: FlaskClient
) -> None:
    response = post(client, OPENED, content_type=content_type)
    assert response.get_json()["status"] == "accepted"
    assert [row.raw for row in rows_of(app)] == [OPENED]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_another_method_is_refused_in_json(method: str, client: FlaskClient) -> None:
    response = client.open(f"/webhooks/drip?token={TOKEN}", method=method)
    assert response.status_code == 405
    assert response.get_json() == {"status": "refused", "error": "Method Not Allowed"}
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize("path", ["/webhooks/nothing-here", "/webhooks"])
def test_another_address_is_not_found_in_json(path: str, client: FlaskClient) -> None:
    response = client.post(f"{path}?token={TOKEN}", data=OPENED)
    assert response.status_code == 404
    assert response.get_json() == {"status": "refused", "error": "Not Found"}


@pytest.mark.parametrize("body", [OPENED, NOBODY], ids=["event", "unreadable"])
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///no-such-folder/bridge.db",
        "postgresql+psycopg://bridge@127.0.0.1:1/bridge",
    ],
)
def test_without_its_database_the_bridge_asks_to_be_sent_it_again(
    url: str, body: bytes, settings: Settings
) -> None:
    with app_over(replace(settings, database_url=make_url(url))) as app:
        assert_not_kept(post(app.test_client(), body))


def test_a_database_that_comes_back_is_used_again(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    url = make_url(f"sqlite:///{folder}/bridge.db")
    with app_over(replace(settings, database_url=url)) as app:
        assert_not_kept(post(app.test_client(), OPENED))
        folder.mkdir()
        assert post(app.test_client(), OPENED).get_json()["status"] == "accepted"
        assert len(rows_of(app)) == 1


def test_a_postgresql_without_the_schema_is_not_written_to(
    postgres_url: str, settings: Settings, said: Said
) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    with app_over(replace(settings, database_url=url)) as app:
        assert_not_kept(post(app.test_client(), OPENED))
    assert "flask --app wsgi db upgrade" in said.text


@pytest.mark.parametrize(
    ("body", "status"), [(OPENED, "duplicate"), (NOBODY, "quarantined")], ids=["event", "other"]
)
def test_a_write_that_takes_too_long_is_asked_for_again_and_kept_once(
    body: bytes, status: str, app: Flask, client: FlaskClient
) -> None:
    post(client, CLICKED)
    with write_lock_of(app):
        assert_not_kept(post(client, body))
        assert [row.raw for row in rows_of(app)] == [CLICKED]
    # it was still waiting, and is written now: what is sent again finds it there
    assert post(client, body).get_json()["status"] == status
    assert [row.raw for row in rows_of(app)] == [CLICKED, body]


def test_fifty_copies_at_once_are_accepted_once(app_on_each_engine: Flask) -> None:
    answers = post_at_once(app_on_each_engine, [OPENED] * 50)
    assert Counter(answers) == {(200, "accepted"): 1, (200, "duplicate"): 49}
    assert [row.raw for row in rows_of(app_on_each_engine)] == [OPENED]


def test_fifty_events_at_once_are_all_kept(app_on_each_engine: Flask) -> None:
    bodies = [changed(b'"d1"', b'"d%d"' % number) for number in range(50)]
    assert post_at_once(app_on_each_engine, bodies) == [(200, "accepted")] * 50
    assert sorted(row.raw for row in rows_of(app_on_each_engine)) == sorted(bodies)


def test_a_fault_of_the_bridge_costs_no_event_and_tells_nothing_of_it(
    app: Flask,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    said: Said,
) -> None:
    def fault(body: bytes) -> None:
        raise KeyError(body)

    monkeypatch.setattr("app.drip_to_segment.translate.body_to_event", fault)
    response = post(client, OPENED)
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "quarantined",
        "errors": {"body": ["A fault of the bridge; see its log."]},
    }
    assert [row.raw for row in rows_of(app)] == [OPENED]
    assert "KeyError at " in said.text
    assert "ana@example.com" not in said.text


def test_no_answer_and_no_log_line_says_to_whom(
    client: FlaskClient, said: Said, capfd: pytest.CaptureFixture[str]
) -> None:
    responses = {name: post(client, body) for name, (body, _) in SAID_TO.items()}
    told = {name: response.get_json()["status"] for name, response in responses.items()}
    assert told == {name: status for name, (_, status) in SAID_TO.items()}
    for response in responses.values():
        assert CANARY not in response.get_data()
    assert_logged_without_canary(said, capfd)


def test_no_refusal_says_with_which_token(
    client: FlaskClient, said: Said, capfd: pytest.CaptureFixture[str]
) -> None:
    responses = [
        post(client, SECRETIVE, "canary"),
        post(client, SECRETIVE, query_string="", auth=("canary", "canary")),
        client.get("/webhooks/drip?token=canary"),
        client.post("/webhooks/other?token=canary", data=SECRETIVE),
    ]
    assert [response.status_code for response in responses] == [401, 401, 405, 404]
    for response in responses:
        assert CANARY not in response.get_data()
        assert "canary" not in str(response.headers)
    assert "canary" not in said.text + "".join(capfd.readouterr())


@contextmanager
def table_gone_from(app: Flask) -> Iterator[None]:
    """A database that answers, with an error."""
    events.drop(bridge_of(app).store.engine)
    yield


@pytest.mark.parametrize("hindrance", [write_lock_of, table_gone_from])
def test_what_cannot_be_kept_is_not_told_either(
    hindrance: Callable[[Flask], AbstractContextManager[None]],
    app: Flask,
    client: FlaskClient,
    said: Said,
    capfd: pytest.CaptureFixture[str],
) -> None:
    post(client, OPENED)
    with hindrance(app):
        response = post(client, SECRETIVE)
    assert_not_kept(response)
    assert CANARY not in response.get_data()
    assert_logged_without_canary(said, capfd)


def test_what_flask_answers_by_itself_is_answered(client: FlaskClient) -> None:
    answer = client.options("/webhooks/drip")
    assert answer.status_code == 200
    assert answer.allow.as_set() == {"options", "post"}


@pytest.mark.parametrize("odd", ["\\ud800", "\\u0000", "\\udc00\\ud83d"])
def test_an_address_that_no_database_takes_is_kept_and_harms_nobody(
    app_on_each_engine: Flask, odd: str
) -> None:
    body = changed(b"ana@example.com", f"{odd}@example.com".encode())
    answers = post_at_once(app_on_each_engine, [body, CLICKED])
    assert sorted(answers) == [(200, "accepted")] * 2
    kept = {row.raw: row.email for row in rows_of(app_on_each_engine)}
    assert kept[body].endswith("?@example.com")


def test_a_slash_at_the_end_of_the_address_is_no_other_address(client: FlaskClient) -> None:
    answer = client.post("/webhooks/drip/", query_string={"token": TOKEN}, data=b"{broken")
    assert answer.status_code == 200
    assert answer.json["status"] == "quarantined"  # type: ignore[index]
