"""A bridge with two directions: each has its messages, and both are looked after."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import Engine

from app.bridge import OF_THE_REST, bridge_of
from app.config.settings import Settings
from app.direction import Direction
from app.outbox.store import Store
from tests.support.builders import NOW, message, rows
from tests.support.delivery import tracked
from tests.support.fake_segment import FakeSegment
from tests.support.flask_app import run
from tests.support.two_directions import PretendDrip, call_to_drip, second_of, two_directions
from tests.support.waiting import wait_until

DAY = 86_400.0


@pytest.fixture
def app(settings: Settings, engine: Engine, segment: FakeSegment) -> Iterator[Flask]:
    """Over each engine in turn."""
    changed = replace(settings, database_url=engine.url, segment_host=segment.url)
    with two_directions(changed) as app:
        yield app


@pytest.fixture
def second(app: Flask) -> Direction:
    return second_of(app)


@pytest.fixture
def store(app: Flask) -> Store:
    """Of the first direction."""
    return bridge_of(app).drip_to_segment.store


def test_both_share_the_connections(app: Flask, second: Direction) -> None:
    bridge = bridge_of(app)
    assert bridge.directions == (bridge.drip_to_segment, second)
    assert {direction.store.engine for direction in bridge.directions} == {bridge.engine}
    if bridge.engine.dialect.name == "postgresql":
        assert bridge.engine.pool.size() == OF_THE_REST  # type: ignore[attr-defined]


def test_deliver_once_sends_what_is_due_in_both(
    app: Flask, store: Store, second: Direction, segment: FakeSegment
) -> None:
    store.put([tracked("a"), tracked("b")])
    second.store.put([call_to_drip("c")])
    result = run(app, "deliver", "--once")
    assert (result.exit_code, result.stdout) == (0, "3 sent\n")
    assert sorted(segment.message_ids()) == ["a", "b"]
    assert isinstance(second.destination, PretendDrip)
    assert len(second.destination.sent) == 1


def test_both_are_sent_until_stopped(app: Flask, store: Store, second: Direction) -> None:
    bridge = bridge_of(app)
    running = bridge.start_delivery()
    store.put([tracked("a")])
    second.store.put([call_to_drip("b")])
    wait_until(
        lambda: {row.state for row in [*rows(store).values()]} == {"sent"},
        report=lambda: str(threading.enumerate()),
    )
    bridge.stop_delivery()
    for thread in running:
        thread.join(10)
    assert [thread.is_alive() for thread in running] == [False, False]


def test_what_a_wrong_clock_put_off_is_due_again_in_both(
    app: Flask, store: Store, second: Direction
) -> None:
    ahead = NOW + 40 * DAY
    store.put([message("a", received_at=ahead)])
    second.store.put([call_to_drip("b", received_at=ahead)])
    bridge_of(app).tidy(NOW, 0.0)
    assert store.due_accounts(NOW) == second.store.due_accounts(NOW) == ["4417"]
