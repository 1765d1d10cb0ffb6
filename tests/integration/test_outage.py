"""An outage of Segment from its first answer to the last event that waited for it."""

from dataclasses import replace

import pytest

from app.delivery import key_answers
from app.drip_to_segment.destination import SegmentDestination
from app.monitoring.deliverers import Deliverer
from app.monitoring.problem import Problem
from app.monitoring.problems import PASSING, find_problems
from app.monitoring.stats import take_stats
from app.outbox.store import Store
from app.outbox.traffic import WAYS, read_traffic
from tests.support.builders import NOW, message, rows
from tests.support.clock import Clock
from tests.support.delivery import KEY, answer_of, delivery_to, keep, states
from tests.support.fake_segment import OK, FakeSegment, Reply

KEYS = {"4417": KEY, "4418": KEY}


@pytest.fixture
def destination(segment: FakeSegment) -> SegmentDestination:
    return SegmentDestination(segment.url, None, KEYS)


@pytest.fixture(autouse=True)
def _each_answer_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' clock goes faster than the one that spares the database writes."""
    monkeypatch.setattr(key_answers, "NOTE_EVERY", 0.0)


def problems(store: Store, destination: SegmentDestination, now: float) -> dict[str, Problem]:
    stats = take_stats(store.engine, "segment", now, destination.key_for)
    stats = replace(stats, deliverers=(Deliverer("1", NOW - 3600, now),))
    return {each.name: each for each in find_problems(stats, destination, now)}


def test_it_is_one_problem_until_what_waited_has_gone_at_once(
    store: Store, segment: FakeSegment, destination: SegmentDestination, clock: Clock
) -> None:
    delivery = delivery_to(store, destination, clock)
    store.put([message("held", account="keyless", received_at=NOW - 86_400)])
    segment.behave = lambda _: Reply(500)
    for minute in range(7):
        keep(store, f"drip-{minute}-a", f"drip-{minute}-b", received_at=clock.now)
        keep(store, f"drip-{minute}-c", account="4418", received_at=clock.now)
        for _ in range(6):
            delivery.drain()
            clock.now += 10

    found = problems(store, destination, clock.now)
    assert found.keys() == {"failing", "held"}
    outage = found["failing"]
    assert (outage.level, outage.count, outage.since) == ("critical", 21, NOW)
    assert outage.title == "Segment is not accepting events (HTTP 500)"
    assert answer_of(store).failures == len(segment.batches)
    due = [row.due_at for row in rows(store).values() if row.reason]
    assert max(due) > clock.now + PASSING

    segment.behave = lambda _: OK
    clock.now = max(clock.now, min(due))  # the first that is due shows that it is over
    for _ in range(2):  # the second turn has what the first success brought forward
        delivery.drain()
    assert states(store) == {"sent": 21, "pending": 1}
    assert problems(store, destination, clock.now).keys() == {"held"}
    assert answer_of(store).recovered_at == clock.now

    minutes = read_traffic(store.engine, "segment", 0)
    totals = [sum(getattr(minute, way) for minute in minutes) for way in WAYS]
    assert dict(zip(WAYS, totals, strict=True)) == {
        "received": 22,
        "sent": 21,
        "retried": 21,
        "failed": 0,
    }
