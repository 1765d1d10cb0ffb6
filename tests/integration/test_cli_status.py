"""`status` shows what is wrong and what goes, and its exit code is for scripts."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from app.monitoring.deliverers import Heartbeat
from app.outbox.answers import Answers
from app.outbox.messages import Attempt
from app.outbox.store import Store
from app.version import VERSION
from tests.support.builders import claim, mark_dead, mark_sent, message, messages, reschedule
from tests.support.flask_app import app_over, run


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn; only account 4417 has a key."""
    keys = {"4417": "a-key"}
    changed = replace(settings, database_url=engine.url, write_key=None, write_keys=keys)
    with app_over(changed) as app:
        yield app


@pytest.fixture
def store(app: Flask) -> Store:
    return bridge_of(app).drip_to_segment.store


@pytest.fixture
def _a_deliverer_runs(engine: Engine) -> None:
    Heartbeat(engine, lambda: True).beat()


def put_one_that_failed(store: Store, now: float) -> None:
    store.put([message("dead", received_at=now)])
    mark_dead(store, claim(store, now=now), Attempt(now, "HTTP 400: too long"))


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_a_bridge_that_is_well_ends_with_0(app: Flask, store: Store) -> None:
    now = time.time()
    store.put([message(f"m{n}", received_at=now) for n in range(4)])
    lease = claim(store, now=now, most_events=1)
    reschedule(store, lease, {lease.messages[0].id: now}, Attempt(now, "HTTP 500"))
    mark_sent(store, claim(store, now=now, most_events=3), now)
    mark_sent(store, claim(store, now=now), now)
    result = run(app, "status")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[:8] == [
        "✓ No problem found",
        "",
        "Drip → Segment",
        "  Last hour       4 received, 4 delivered (75.0 % at the first try), 0 failed",
        "  Waiting         nothing",
        "  Kept            0 failed, 0 rejected, 0 dismissed",
        *lines[6:8],
    ]
    assert lines[6].startswith("  Last webhook    ")
    assert lines[7].startswith("  Last delivered  ")
    assert lines[8].startswith("Deliverers        1 running, seen ")
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[store.engine.dialect.name]
    assert lines[9].startswith(f"Database          {kind}, ")
    assert lines[10:] == [f"Version           {VERSION}"]


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_what_an_operator_should_do_ends_with_1(app: Flask, store: Store) -> None:
    put_one_that_failed(store, time.time())
    result = run(app, "status")
    assert result.exit_code == 1
    assert result.stdout.startswith("! 1 event failed: HTTP 400")
    assert "\n  They are not tried again by themselves: retry or dismiss them.\n" in result.stdout
    assert "  Kept            1 failed, 0 rejected, 0 dismissed\n" in result.stdout
    run(app, "dismiss", "dead")
    bridge_of(app).drip_to_segment.stats.forget()
    result = run(app, "status")
    assert result.exit_code == 0
    assert "  Kept            0 failed, 0 rejected, 1 dismissed\n" in result.stdout


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_a_notice_alone_ends_with_0(app: Flask, store: Store) -> None:
    store.put([message("held", account="5150", received_at=time.time())])
    result = run(app, "status")
    assert result.exit_code == 0
    assert result.stdout.startswith("· No write key is set for 1 Drip account\n")


@pytest.mark.usefixtures("_a_deliverer_runs")
def test_what_stops_events_ends_with_2(app: Flask, store: Store) -> None:
    now = time.time()
    store.put(messages(3, account="5150"))
    store.put([message("refused", received_at=now - 120)])
    Answers(store.engine, "segment").note(
        "a-key", "refused", "HTTP 401: check SEGMENT_WRITE_KEY", now - 60, now, 1
    )
    result = run(app, "status")
    assert result.exit_code == 2
    assert "✗ Segment refuses a key (HTTP 401)\n" in result.stdout
    assert "\n  Accounts: 4417.\n  Check SEGMENT_WRITE_KEY.\n" in result.stdout
    assert "✗ No write key is set for 1 Drip account\n" in result.stdout
    assert "  Waiting         1 paused (oldest 2 min), 3 held (oldest " in result.stdout


def test_a_deliverer_gets_no_time_to_start_from_a_command(app: Flask) -> None:
    """A web process that has just started waits for its own; a command has none."""
    result = run(app, "status")
    assert result.exit_code == 2
    assert result.stdout.startswith("✗ No deliverer runs, so nothing is sent\n")
    assert "\nDeliverers        0 running\n" in result.stdout


def test_the_values_are_there_for_scripts(app: Flask, store: Store) -> None:
    now = time.time()
    put_one_that_failed(store, now)
    store.put([message("held", account="5150", received_at=now)])
    result = run(app, "status", "--json")
    assert result.exit_code == 2
    values = json.loads(result.stdout)
    assert [(each["name"], each["level"]) for each in values["problems"]] == [
        ("deliverer", "critical"),
        ("failed", "warning"),
        ("held", "notice"),
    ]
    assert values["problems"][2]["accounts"] == ["5150"]
    (direction,) = values["directions"]
    assert direction["last_hour"] == {"received": 2, "sent": 0, "retried": 0, "failed": 1}
    assert direction["waiting"]["held"]["count"] == 1
    assert direction["waiting"]["queued"] == {"count": 0, "oldest": None}
    assert (direction["states"]["dead"], direction["last_delivered"]) == (1, None)
    assert values["deliverers"] == {"running": 0, "last_seen": None}
    assert values["database"]["kind"] == store.engine.dialect.name
    assert values["version"] == VERSION


def test_a_database_that_cannot_be_read_ends_with_2_and_a_sentence(
    settings: Settings, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "bridge.db").write_text("this is no database, and long enough to be read as one")
    for url, words in {
        settings.database_url: "✗ DATABASE_URL: cannot use the file.",
        make_url(postgres_url).set(drivername="postgresql+psycopg"): "Run: flask db upgrade",
        make_url(
            "postgresql+psycopg://ana:a-password@127.0.0.1:9/b"
        ): "cannot be read: see whether",
    }.items():
        app = create_app(replace(settings, database_url=url))
        result = run(app, "status")
        assert result.exit_code == 2
        assert words in result.stdout
        assert len(result.stdout.splitlines()) == 1
        (problem,) = json.loads(run(app, "status", "--json").stdout)["problems"]
        assert (problem["name"], problem["level"]) == ("unread", "critical")
        assert "a-password" not in result.output
        bridge_of(app).close()
