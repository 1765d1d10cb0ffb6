"""When a webhook cannot be kept or read: nothing is lost, and nothing told of anybody."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from app.bridge import OF_THE_REST, bridge_of
from app.config.settings import Settings
from app.database.engine import BUSY_SECONDS
from app.database.schema import upgrade
from app.database.tables import events
from app.monitoring.problems import find_problems
from tests.support.flask_app import app_over, post, rows_of
from tests.support.logged import Logged
from tests.support.samples import CLICKED, NOBODY, OPENED, changed
from tests.support.waiting import wait_until

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


def assert_not_kept(response: TestResponse) -> None:
    assert response.status_code == 429
    assert 0 < int(response.headers["Retry-After"]) <= 3600
    assert response.get_json()["status"] == "not kept"


@contextmanager
def write_lock_of(app: Flask) -> Iterator[None]:
    """Hold what any other write has to wait for, longer than a caller does."""
    with pytest.MonkeyPatch.context() as patch, bridge_of(app).engine.begin():
        patch.setattr("app.outbox.group_commit.LONGEST_WAIT", 0.15)
        yield


def assert_logged_without_canary(logged: Logged, capfd: pytest.CaptureFixture[str]) -> None:
    lines = logged.text + "".join(capfd.readouterr())
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


def test_pages_take_no_connection_of_the_webhooks(settings: Settings, postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    with app_over(replace(settings, database_url=url)) as app, ExitStack() as pages:
        pages_engine = bridge_of(app).engine
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

    direction = bridge_of(app).drip_to_segment
    found = find_problems(direction.stats.latest(), direction.destination, time.time())
    assert [problem.name for problem in found] == ["quarantine full", "rejected"]
    with direction.store.engine.begin() as connection:
        connection.execute(delete(events).where(events.c.state == "quarantined"))
    direction.stats._take()  # noqa: SLF001 - as it does by itself, later
    assert post(client, b"x").get_json()["status"] == "quarantined"


REFUSE = """
    CREATE TRIGGER refuse BEFORE INSERT ON events WHEN new.email LIKE 'ana@%'
    BEGIN SELECT raise(ABORT, 'canary'); END
"""


def test_an_event_that_the_database_refuses_is_quarantined(app: Flask, client: FlaskClient) -> None:
    post(client, NOBODY)
    with bridge_of(app).engine.begin() as connection:
        connection.exec_driver_sql(REFUSE)

    response = post(client, OPENED)

    assert (response.status_code, response.get_json()["status"]) == (200, "quarantined")
    row = rows_of(app)[-1]
    assert (row.state, row.raw) == ("quarantined", OPENED)
    assert "The database refuses it" in row.error


@pytest.mark.parametrize("body", [OPENED, NOBODY], ids=["event", "unreadable"])
@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///no-such-folder/bridge.db",
        "postgresql+psycopg://bridge@127.0.0.1:1/bridge",
    ],
)
def test_a_webhook_without_a_database_is_asked_for_again(
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
        # on a busy machine the tables take longer to make than the first sender waits
        kept = {"accepted", "duplicate"}
        wait_until(lambda: post(app.test_client(), OPENED).get_json()["status"] in kept)
        assert len(rows_of(app)) == 1


def test_a_postgresql_without_the_schema_is_not_written_to(
    postgres_url: str, settings: Settings, logged: Logged
) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    with app_over(replace(settings, database_url=url)) as app:
        assert_not_kept(post(app.test_client(), OPENED))
    assert "flask db upgrade" in logged.text


@pytest.mark.parametrize(
    ("body", "status"), [(OPENED, "duplicate"), (NOBODY, "quarantined")], ids=["event", "other"]
)
def test_a_write_that_takes_too_long_is_429_and_kept_once(
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


def test_a_fault_of_the_bridge_costs_no_event_and_leaks_nothing(
    app: Flask,
    client: FlaskClient,
    monkeypatch: pytest.MonkeyPatch,
    logged: Logged,
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
    assert "KeyError at " in logged.text
    assert "ana@example.com" not in logged.text


def test_no_answer_and_no_log_line_names_a_person(
    client: FlaskClient, logged: Logged, capfd: pytest.CaptureFixture[str]
) -> None:
    responses = {name: post(client, body) for name, (body, _) in SAID_TO.items()}
    told = {name: response.get_json()["status"] for name, response in responses.items()}
    assert told == {name: status for name, (_, status) in SAID_TO.items()}
    for response in responses.values():
        assert CANARY not in response.get_data()
    assert_logged_without_canary(logged, capfd)


def test_no_refusal_quotes_the_token(
    client: FlaskClient, logged: Logged, capfd: pytest.CaptureFixture[str]
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
    assert "canary" not in logged.text + "".join(capfd.readouterr())


@contextmanager
def table_gone_from(app: Flask) -> Iterator[None]:
    """A database that answers, with an error."""
    events.drop(bridge_of(app).engine)
    yield


@pytest.mark.parametrize("hindrance", [write_lock_of, table_gone_from])
def test_what_cannot_be_kept_is_not_quoted_either(
    hindrance: Callable[[Flask], AbstractContextManager[None]],
    app: Flask,
    client: FlaskClient,
    logged: Logged,
    capfd: pytest.CaptureFixture[str],
) -> None:
    post(client, OPENED)
    with hindrance(app):
        response = post(client, SECRETIVE)
    assert_not_kept(response)
    assert CANARY not in response.get_data()
    assert_logged_without_canary(logged, capfd)


@pytest.mark.parametrize("odd", ["\\ud800", "\\u0000", "\\udc00\\ud83d"])
def test_an_address_that_no_database_takes_is_kept(app_on_each_engine: Flask, odd: str) -> None:
    body = changed(b"ana@example.com", f"{odd}@example.com".encode())
    answers = post_at_once(app_on_each_engine, [body, CLICKED])
    assert sorted(answers) == [(200, "accepted")] * 2
    kept = {row.raw: row.email for row in rows_of(app_on_each_engine)}
    assert kept[body].endswith("?@example.com")
