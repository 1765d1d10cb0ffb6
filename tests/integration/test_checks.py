"""What the bridge says of itself to anyone who asks."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL, make_url

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from app.database.engine import open_database
from app.database.schema import upgrade
from app.monitoring import stats_cache
from app.outbox.messages import Message
from app.outbox.store import Store
from tests.support.builders import TOKEN, mark_sent, message
from tests.support.samples import OPENED

NOWHERE = URL.create("postgresql+psycopg", "bob", "hunter2", "127.0.0.1", 9, "inner-name")
MINUTE = 60.0

Ask = Callable[..., FlaskClient]


@pytest.fixture
def ask(settings: Settings, database_url: URL) -> Iterator[Ask]:
    """A client of an app over the database, with these settings changed."""
    with ExitStack() as apps:

        def build(**changes: Any) -> FlaskClient:
            app = create_app(replace(settings, **{"database_url": database_url, **changes}))
            apps.callback(bridge_of(app).close)
            return app.test_client()

        yield build


def aged(number: int, age: float, account: str = "4417") -> Message:
    return message(f"drip-{number}", account=account, received_at=time.time() - age)


def reasons(client: FlaskClient) -> list[str]:
    answer = client.get("/readyz")
    if answer.status_code == 200:
        assert answer.json == {"status": "ready"}
        return []
    assert answer.status_code == 503
    assert answer.json is not None
    assert answer.json["status"] == "not ready"
    found: list[str] = answer.json["reasons"]
    assert found
    return found


def figures(client: FlaskClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line.rpartition(" ") for line in answer.text.splitlines() if line[0] != "#"]
    return {
        name.removeprefix("bridge_")
        .replace('destination="segment",', "")
        .replace('{destination="segment"}', ""): float(value)
        for name, _, value in lines
    }


def test_a_read_only_database_is_reported_until_one_is_kept(ask: Ask, engine: Engine) -> None:
    client = ask()
    url = f"/webhooks/drip?token={TOKEN}"
    assert client.post(url, data=OPENED).status_code == 200
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE traffic RENAME TO gone")
    again = OPENED.replace(b'"e7"', b'"e8"')
    assert client.post(url, data=again).status_code == 429

    (reason,) = reasons(client)
    assert reason.startswith("Webhooks cannot be kept")
    assert "traffic" not in reason

    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE gone RENAME TO traffic")
    assert client.post(url, data=again).status_code == 200
    assert reasons(client) == []


# healthz


def test_it_is_alive_whatever_the_database_does(settings: Settings) -> None:
    app = create_app(replace(settings, database_url=NOWHERE))
    answer = app.test_client().get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})
    assert bridge_of(app).engine.pool.checkedin() == 0  # type: ignore[attr-defined]


# readyz


def test_it_is_ready_when_events_flow(ask: Ask, store: Store) -> None:
    store.put([aged(1, 4.9 * MINUTE), aged(2, 0)])
    assert reasons(ask()) == []


def test_an_old_event_is_reported_with_what_to_do(ask: Ask, store: Store) -> None:
    store.put([aged(1, 7 * MINUTE)])
    (reason,) = reasons(ask())
    assert "7 minutes" in reason
    assert "flask deliver" in reason


def test_held_events_are_reported_with_the_missing_setting(ask: Ask, store: Store) -> None:
    store.put([aged(1, 3 * 3600), aged(2, 0), aged(3, 0, "5150")])
    (reason,) = reasons(ask(write_key=None, write_keys={"5150": "key"}))
    assert reason.startswith("2 events are held, the oldest for 3 hours")
    assert "SEGMENT_WRITE_KEY" in reason


def test_a_paused_account_is_reported_by_number_alone(ask: Ask, store: Store) -> None:
    store.pause_account("441700", time.time() + 30, "HTTP 401")
    (reason,) = reasons(ask())
    assert "1 Drip account" in reason
    assert "SEGMENT_REGION" in reason
    assert "441700" not in reason


def test_all_reasons_are_reported_at_once(ask: Ask, store: Store) -> None:
    store.put([aged(1, 10 * MINUTE), aged(2, 6 * MINUTE, "5150")])
    store.pause_account("4417", time.time() - 30, "HTTP 401")
    found = reasons(ask(write_key=None, write_keys={"4417": "key"}))
    assert ["oldest" in found[0], "held" in found[1], "paused" in found[2]] == [True] * 3


def test_a_missing_schema_is_reported_and_left_as_it_is(ask: Ask, database_url: URL) -> None:
    client = ask()
    for _ in range(2):
        (reason,) = reasons(client)
        assert "flask db upgrade" in reason
    engine = open_database(database_url)
    upgrade(engine)
    engine.dispose()
    assert reasons(client) == []


def test_a_newer_schema_is_reported(ask: Ask, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    client = ask()
    assert "newer version" in reasons(client)[0]
    assert figures(client)["database_up"] == 0


def test_a_database_out_of_reach_is_reported_without_its_name(ask: Ask) -> None:
    client = ask(database_url=NOWHERE)
    (reason,) = reasons(client)
    assert "DATABASE_URL" in reason
    for word in ("bob", "hunter2", "127.0.0.1", "inner-name"):
        assert word not in reason
    found = figures(client)
    assert found["database_up"] == 0
    assert 'webhooks_total{collection="",outcome="not_kept"}' in found
    assert not any(name.startswith(("events{", "oldest", "last_", "paused")) for name in found)


@contextmanager
def mute_server() -> Iterator[URL]:
    """It takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield NOWHERE.set(port=server.getsockname()[1])


@contextmanager
def locked_file(path: str) -> Iterator[URL]:
    """Another that keeps everybody out, as a backup or a repair may."""
    url = make_url(f"sqlite:///{path}/locked.db")
    engine = open_database(url)
    upgrade(engine)
    engine.dispose()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in ("PRAGMA locking_mode = EXCLUSIVE", "BEGIN EXCLUSIVE"):
            connection.exec_driver_sql(statement)
        yield url
        connection.exec_driver_sql("ROLLBACK")
    engine.dispose()


@pytest.mark.parametrize("kind", ["mute", "locked"])
def test_a_database_that_does_not_answer_holds_nobody_up(
    settings: Settings, kind: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_cache, "PATIENCE", 0.3)
    with mute_server() if kind == "mute" else locked_file(tmp_path) as url:
        client = create_app(replace(settings, database_url=url)).test_client()
        began = time.monotonic()
        (reason,) = reasons(client)
        assert "does not answer" in reason
        assert figures(client)["database_up"] == 0
        assert client.get("/healthz").status_code == 200
        assert time.monotonic() - began < 3


# metrics


def test_the_outbox_is_served_in_figures(ask: Ask, store: Store) -> None:
    now = time.time()
    store.put([aged(1, 100), aged(2, 90), aged(3, 80, "5150")])
    store.put([message("raw-1", account="", payload=None, received_at=now - 70)])
    mark_sent(store, store.claim(["4417"], now, now + 30, 1, 1000), now - 40)
    store.pause_account("4417", now, "HTTP 401")
    found = figures(ask(write_key=None, write_keys={"4417": "key"}))
    by_state = {"pending": 1, "held": 1, "sent": 1, "dead": 0, "quarantined": 1, "erased": 0}
    for state, count in by_state.items():
        assert found[f'events{{state="{state}"}}'] == count
    assert found['events_last_hour{state="dead"}'] == 0
    assert found['events_last_hour{state="quarantined"}'] == 1
    assert found["oldest_pending_age_seconds"] == pytest.approx(90, abs=5)
    assert found["last_webhook_timestamp_seconds"] == pytest.approx(now - 70, abs=1)
    assert found["last_sent_timestamp_seconds"] == pytest.approx(now - 40, abs=1)
    assert found["database_size_bytes"] > 4096
    assert found["paused_accounts"] == 1
    assert found["database_up"] == 1
    assert found['build_info{version="0.1.0"}'] == 1


@pytest.mark.usefixtures("store")
def test_figures_are_0_if_nothing_waits_or_came(ask: Ask) -> None:
    found = figures(ask())
    for name in ("oldest_pending_age", "last_webhook_timestamp", "last_sent_timestamp"):
        assert found[f"{name}_seconds"] == 0


# what strangers learn


def test_strangers_learn_no_more_than_figures(ask: Ask, store: Store) -> None:
    client = ask(write_key="canary-key", write_keys={"5150": "canary-key-too"})
    canaries = {
        b"ana@example.com": b"canary@example.com",
        b"Hola": b"canary-subject",
        b'"d1"': b'"canary-delivery"',
    }
    body = OPENED
    for old, new in canaries.items():
        assert old in body
        body = body.replace(old, new)
    for posted in (body, b"{canary", body.replace(b"opened_email", b"canary")):
        client.post("/webhooks/drip", query_string={"token": TOKEN}, data=posted)
    client.post("/webhooks/drip?token=canary-token", data=body)
    (account,) = store.due_accounts(time.time())
    store.put([aged(1, 3600)])
    store.pause_account(account, time.time() + 30, "canary-reason")
    for path in ("/healthz", "/readyz", "/metrics"):
        told = client.get(path).text
        for secret in ("canary", account, TOKEN, "example.com", "http"):
            assert secret not in told, path


def test_they_are_there_to_be_read_alone(app: Flask) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert app.test_client().post(path).status_code == 405


SECRET = "a-token-for-the-figures"


@pytest.mark.parametrize(
    ("kwargs", "status"),
    [
        ({}, 401),
        ({"query_string": {"token": "a-token-of-somebody"}}, 401),
        ({"query_string": {"token": SECRET}}, 200),
        ({"headers": {"Authorization": f"Bearer {SECRET}"}}, 200),
        ({"auth": ("prometheus", SECRET)}, 200),
    ],
)
def test_figures_ask_for_their_token_if_there_is_one(
    ask: Ask, kwargs: dict[str, Any], status: int
) -> None:
    assert ask(metrics_token=SECRET).get("/metrics", **kwargs).status_code == status
