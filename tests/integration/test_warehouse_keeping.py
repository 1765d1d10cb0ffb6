"""What is not loaded yet is kept for the warehouse, and not for ever; and what is said of it."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import update
from sqlalchemy.engine import make_url

from app import create_app
from app.bridge import Bridge, bridge_of
from app.config.schema import LEAST_DAYS
from app.config.settings import Settings
from app.database.tables import events
from app.outbox.loads import GRACE, Loads
from app.outbox.pruning import DAY, Pruning
from app.outbox.store import Store
from tests.support.builders import NOW, message, no_wait, rows
from tests.support.databases import put_schema
from tests.support.flask_app import run
from tests.support.inspector_app import PASSWORD, Visitor

RETENTION = 7 * DAY
GONE = make_url("postgresql://ana:secret@127.0.0.1:9/gone")


@pytest.fixture
def loads(store: Store) -> Loads:
    return Loads(store.engine, "w", ["segment"], RETENTION)


@pytest.fixture
def pruning(store: Store, loads: Loads) -> Pruning:
    return Pruning(store.engine, 7, 30, LEAST_DAYS, loads)


def put_sent(store: Store, name: str, at: float) -> int:
    """Keep an event that came and was sent then. Returns its id."""
    store.put([message(name, received_at=at)])
    sent = update(events).where(events.c.message_id == name)
    with store.engine.begin() as connection:
        connection.execute(sent.values(state="sent", settled_at=at))
    return int(rows(store)[name].id)


OLD = NOW - RETENTION - 1


def test_only_what_is_loaded_is_pruned(store: Store, loads: Loads, pruning: Pruning) -> None:
    first = put_sent(store, "loaded", OLD - 10)
    put_sent(store, "not loaded", OLD)
    loads.advance("segment", 0, first, 1)
    assert pruning.run(NOW, no_wait) == {"sent": 1}
    assert rows(store).keys() == {"not loaded"}
    loads.advance("segment", first, rows(store)["not loaded"].id, 1)
    assert pruning.run(NOW, no_wait) == {"sent": 1}


def test_an_event_that_came_out_of_order_waits_too(
    store: Store, loads: Loads, pruning: Pruning
) -> None:
    """The clock was set back between the two: the later one seems older."""
    first = put_sent(store, "loaded", OLD)
    put_sent(store, "by a wrong clock", OLD - 1_000)
    put_sent(store, "next", NOW - 1)
    loads.advance("segment", 0, first, 1)
    with store.engine.begin() as connection:
        assert loads.oldest(connection) == OLD - 1_000
    put_sent(store, "older still", OLD - 2_000)
    assert pruning.run(NOW, no_wait) == {}


def test_a_warehouse_that_is_gone_does_not_fill_the_disk(store: Store, pruning: Pruning) -> None:
    put_sent(store, "too old", OLD - GRACE)
    put_sent(store, "old", OLD)
    assert pruning.run(NOW, no_wait) == {"sent": 1}
    assert rows(store).keys() == {"old"}


def test_what_is_not_to_be_loaded_is_pruned_as_ever(store: Store, pruning: Pruning) -> None:
    drip = Store(store.engine, "drip")
    put_sent(drip, "to drip", OLD)
    assert pruning.run(NOW, no_wait) == {"sent": 1}


def test_a_warehouse_of_another_name_begins_anew(store: Store, loads: Loads) -> None:
    id_ = put_sent(store, "1", OLD)
    assert loads.advance("segment", 0, id_, 1)
    other = Loads(store.engine, "another", ["segment"], RETENTION)
    assert (loads.count("segment"), other.count("segment")) == (0, 1)


def test_a_load_that_was_overtaken_notes_nothing(store: Store, loads: Loads) -> None:
    id_ = put_sent(store, "1", OLD)
    assert loads.advance("segment", 0, id_, 1)
    assert not loads.advance("segment", 0, id_, 1)
    assert not loads.advance("segment", id_, id_ + 1, 1)  # no such event
    assert loads.last_event("segment") == id_


# what is said of it


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Over an event of two days ago that is not loaded."""
    put_schema(settings.database_url)
    app = create_app(replace(settings, warehouse_url=GONE, inspector_password=PASSWORD))
    bridge = bridge_of(app)
    put_sent(bridge.drip_to_segment.store, "1", time.time() - 2 * DAY)
    bridge.heartbeat.beat()
    yield app
    bridge.close()


@pytest.fixture
def bridge(app: Flask) -> Bridge:
    return bridge_of(app)


def test_ready_says_that_the_warehouse_is_behind_and_stays_ready(app: Flask) -> None:
    answer = app.test_client().get("/readyz")
    found = answer.get_json()
    assert (answer.status_code, found["status"]) == (200, "ready")
    (reason,) = found["reasons"]
    assert reason.startswith("The warehouse is behind. The oldest event that is not loaded came 48")


def test_metrics_have_the_lag(app: Flask, bridge: Bridge) -> None:
    assert bridge.warehouse
    bridge.warehouse.loads.end(time.time(), "OperationalError")
    figures = dict(
        line.split(" ")
        for line in app.test_client().get("/metrics").text.splitlines()
        if line.startswith("bridge_warehouse")
    )
    lag = float(figures['bridge_warehouse_lag_seconds{destination="segment"}'])
    assert 2 * DAY <= lag < 2 * DAY + 600
    assert figures['bridge_warehouse_failing{destination="segment"}'] == "1.0"
    assert figures['bridge_warehouse_loaded_events{destination="segment"}'] == "0.0"


def test_the_status_names_it(app: Flask) -> None:
    result = run(app, "status")
    assert "! The warehouse is behind" in result.output
    assert re.search(r"^Warehouse +not loaded yet, 2 days behind$", result.output, re.MULTILINE)
    assert result.exit_code == 1
    values = json.loads(run(app, "status", "--json").stdout)
    (direction,) = values["directions"]
    assert direction["warehouse"]["loaded"] == 0
    assert direction["warehouse"]["last_load"] is None
    assert direction["warehouse"]["oldest_waiting"]


def test_the_overview_has_a_line_for_it(app: Flask, bridge: Bridge) -> None:
    visitor = Visitor(app)
    assert "not loaded yet, 2 days behind" in visitor.get("/")
    assert bridge.warehouse
    bridge.warehouse.loads.end(time.time())
    bridge.drip_to_segment.stats.forget()
    assert "loaded now, 2 days behind" in visitor.get("/")


def test_a_command_erases_in_the_warehouse_or_says_why_not(app: Flask, bridge: Bridge) -> None:
    result = run(app, "erase", "ana@example.com", "--yes")
    assert result.exit_code == 1
    assert "Not erased in the warehouse: OperationalError." in result.output
    assert "flask warehouse load" in result.output
    assert bridge.warehouse
    assert [email for email, _ in bridge.warehouse.erasures.asked()] == ["ana@example.com"]


def test_the_page_leaves_the_warehouse_to_the_next_load(app: Flask, bridge: Bridge) -> None:
    visitor = Visitor(app)
    visitor.submit("/erase", email="bo@example.com", sure="1")
    assert "In the warehouse the next load deletes the person" in visitor.get("/events")
    assert bridge.warehouse
    assert [email for email, _ in bridge.warehouse.erasures.asked()] == ["bo@example.com"]
