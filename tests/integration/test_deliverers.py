"""Each process that sends reports that it does, while it does."""

import pytest
from sqlalchemy import Engine

from app.database.engine import reader
from app.delivery import worker as worker_module
from app.delivery.worker import STUCK_AFTER
from app.monitoring import deliverers as module
from app.monitoring.deliverers import ALIVE, FORGOTTEN, Deliverer, Heartbeat, read_deliverers
from app.outbox.store import Store
from app.version import VERSION
from tests.support.clock import Clock
from tests.support.delivery import Recorder, delivery_to

START = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock(START)
    monkeypatch.setattr(module, "time", clock)
    return clock


def known(engine: Engine) -> tuple[Deliverer, ...]:
    with reader(engine) as connection:
        return read_deliverers(connection)


def test_a_report_renews_the_one_before(engine: Engine, clock: Clock) -> None:
    heartbeat = Heartbeat(engine, lambda: True)
    for _ in range(3):
        clock.now += 5
        heartbeat.beat()
    assert known(engine) == (Deliverer(VERSION, START, START + 15),)


def test_each_process_is_known(engine: Engine, clock: Clock) -> None:
    for _ in range(2):
        Heartbeat(engine, lambda: True).beat()
        clock.now += 1
    assert [each.started_at for each in known(engine)] == [START, START + 1]


def test_one_that_ends_is_not_known_any_more(engine: Engine, clock: Clock) -> None:
    first, second = Heartbeat(engine, lambda: True), Heartbeat(engine, lambda: True)
    clock.now += 5
    for each in (first, second):
        each.beat()
    first.end()
    assert len(known(engine)) == 1
    second.end()
    assert known(engine) == ()


def test_one_that_was_killed_counts_as_gone_and_is_forgotten(engine: Engine, clock: Clock) -> None:
    Heartbeat(engine, lambda: True).beat()
    clock.now += ALIVE - 1
    assert [each.is_running(clock.now) for each in known(engine)] == [True]
    clock.now += 1
    assert [each.is_running(clock.now) for each in known(engine)] == [False]
    clock.now += FORGOTTEN
    Heartbeat(engine, lambda: True).beat()
    assert [each.is_running(clock.now) for each in known(engine)] == [True]


@pytest.mark.usefixtures("clock")
def test_a_report_of_a_clock_that_was_ahead_is_none(engine: Engine) -> None:
    Heartbeat(engine, lambda: True).beat()
    (deliverer,) = known(engine)
    assert not deliverer.is_running(START - ALIVE)


def test_a_delivery_that_hangs_is_not_reported(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Steady:
        now = 1_000.0

        def monotonic(self) -> float:
            return self.now

    steady = Steady()
    monkeypatch.setattr(worker_module, "time", steady)
    delivery = delivery_to(store, Recorder(), clock)
    heartbeat = Heartbeat(store.engine, delivery.is_going_on)
    steady.now += STUCK_AFTER - 1
    heartbeat.beat()
    assert [each.seen_at for each in known(store.engine)] == [START]
    steady.now += 1
    clock.now += 5
    heartbeat.beat()
    assert [each.seen_at for each in known(store.engine)] == [START]
