"""What the bridge says of itself to anyone who asks."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

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
from app.database.tables import deliverers
from app.monitoring import stats_cache, watched
from app.monitoring.deliverers import ALIVE
from app.outbox.answers import Answers, Kind
from app.outbox.messages import Attempt, Message
from app.outbox.store import Store
from tests.support.builders import TOKEN, claim, mark_dead, mark_sent, message
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


def deliverer_since(engine: Engine, age: float, seen: float = 0.0) -> None:
    """One that started so many seconds ago, and reported that it runs."""
    now = time.time()
    row = {"id": uuid4().hex, "version": "1", "started_at": now - age, "seen_at": now - seen}
    with engine.begin() as connection:
        connection.execute(deliverers.insert(), row)


def answered(engine: Engine, key: str, kind: Kind, age: float = 0.0) -> None:
    """The answer to a key, so many seconds ago."""
    then = time.time() - age
    Answers(engine, "segment").note(key, kind, "HTTP 401", then, then + MINUTE, 1)


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
        .replace('{destination="segment"}', "")
        .replace('destination="segment",', "")
        .replace(',destination="segment"', ""): float(value)
        for name, _, value in lines
    }


def test_a_read_only_database_is_reported_until_one_is_kept(ask: Ask, engine: Engine) -> None:
    client = ask()
    url = f"/webhooks/drip?token={TOKEN}"
    assert client.post(url, data=OPENED).status_code == 200
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE traffic RENAME COLUMN failed TO gone")
    again = OPENED.replace(b'"e7"', b'"e8"')
    assert client.post(url, data=again).status_code == 429

    (reason,) = reasons(client)
    assert reason.startswith("Webhooks from Drip cannot be kept. Each is answered 429.")
    assert "traffic" not in reason

    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE traffic RENAME COLUMN gone TO failed")
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
    deliverer_since(store.engine, 10 * MINUTE)
    store.put([aged(1, 7 * MINUTE)])
    (reason,) = reasons(ask())
    assert reason.startswith("Nothing goes to Segment.")
    assert "has waited for 7 minutes; 1 event waiting, none lost." in reason
    assert "See the log of the deliverer." in reason


def test_held_events_are_reported_with_the_missing_setting(ask: Ask, store: Store) -> None:
    store.put([aged(1, 3 * 3600), aged(2, 0), aged(3, 0, "5150")])
    (reason,) = reasons(ask(write_key=None, write_keys={"5150": "key"}))
    assert reason.startswith("No write key is set for 1 Drip account. 2 events held since ")
    assert "SEGMENT_WRITE_KEY" in reason


def test_a_refused_key_is_reported_without_its_account(ask: Ask, store: Store) -> None:
    store.put([aged(1, 0, "441700")])
    answered(store.engine, "key-for-tests", "refused")
    (reason,) = reasons(ask())
    assert reason.startswith("Segment refuses a key (HTTP 401). 1 event waiting since ")
    assert "SEGMENT_REGION" in reason
    assert "441700" not in reason


def test_all_reasons_are_reported_at_once(ask: Ask, store: Store) -> None:
    deliverer_since(store.engine, 20 * MINUTE)
    accounts = ("4417", "5150", "6021", "7000")
    store.put([aged(n, 10 * MINUTE, account) for n, account in enumerate(accounts)])
    answered(store.engine, "key", "refused")
    answered(store.engine, "another", "failing", 2 * MINUTE)
    found = reasons(
        ask(write_key=None, write_keys={"4417": "key", "5150": "another", "6021": "third"})
    )
    assert [reason.partition(".")[0] for reason in found] == [
        "Segment is not accepting events (HTTP 401)",
        "Segment refuses a key (HTTP 401)",
        "No write key is set for 1 Drip account",
        "Nothing goes to Segment",
    ]


@pytest.fixture
def _started_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process, so a deliverer had time to report."""
    monkeypatch.setattr(watched, "STARTING", 0.0)


def test_a_deliverer_has_time_to_start(ask: Ask, store: Store) -> None:
    store.put([aged(1, 0)])
    assert reasons(ask()) == []


@pytest.mark.usefixtures("_started_long_ago")
def test_that_no_deliverer_runs_is_reported(ask: Ask, store: Store) -> None:
    store.put([aged(1, 0)])
    (reason,) = reasons(ask())
    assert reason.startswith("No deliverer runs, so nothing is sent. Last seen: never. 1 event ")
    assert "flask deliver" in reason
    deliverer_since(store.engine, MINUTE)
    assert reasons(ask()) == []
    with store.engine.begin() as connection:
        connection.execute(deliverers.update().values(seen_at=time.time() - ALIVE - 1))
    (reason,) = reasons(ask())
    assert "Last seen: at " in reason


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
    assert not any(
        name.startswith(("events{", "waiting", "oldest", "last_", "paused", "deliverers"))
        for name in found
    )


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
    answered(store.engine, "key", "refused")
    deliverer_since(store.engine, MINUTE)
    deliverer_since(store.engine, MINUTE, seen=ALIVE + 1)
    found = figures(ask(write_key=None, write_keys={"4417": "key"}))
    by_state = {"pending": 1, "held": 1, "sent": 1, "dead": 0, "quarantined": 1, "dismissed": 0}
    for state, count in by_state.items():
        assert found[f'events{{state="{state}"}}'] == count
    assert found['events_last_hour{state="dead"}'] == 0
    assert found['events_last_hour{state="quarantined"}'] == 1
    waiting = {"queued": (0, 0), "retrying": (0, 0), "paused": (1, 90), "held": (1, 80)}
    for cause, (count, age) in waiting.items():
        assert found[f'waiting_events{{cause="{cause}"}}'] == count
        oldest = found[f'oldest_waiting_age_seconds{{cause="{cause}"}}']
        assert oldest == pytest.approx(age, abs=5)
    assert found["deliverers"] == 1
    assert found["last_webhook_timestamp_seconds"] == pytest.approx(now - 70, abs=1)
    assert found["last_sent_timestamp_seconds"] == pytest.approx(now - 40, abs=1)
    assert found["database_size_bytes"] > 4096
    assert found["paused_accounts"] == 1
    assert found["database_up"] == 1
    assert found['build_info{version="0.1.0"}'] == 1


@pytest.mark.usefixtures("store")
def test_figures_are_0_if_nothing_waits_or_came(ask: Ask) -> None:
    found = figures(ask())
    for name in ("last_webhook_timestamp", "last_sent_timestamp"):
        assert found[f"{name}_seconds"] == 0
    assert found['oldest_waiting_age_seconds{cause="queued"}'] == 0
    assert found["deliverers"] == 0


# what strangers learn


@pytest.mark.usefixtures("_started_long_ago")
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
    answered(store.engine, "canary-key", "refused")
    settle = Attempt(time.time(), "HTTP 400", "canary-words of canary@example.com")
    mark_dead(store, claim(store, account, now=time.time(), most_events=1), settle)
    assert reasons(client)
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
