"""Fault 36: the clock of all processes steps back and forth by an hour. Drip has its own."""

import time
from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from app.outbox.store import Store
from tests.faults.conftest import engines, scaled
from tests.faults.deliverers import leases
from tests.faults.ledger import read
from tests.faults.people import Actions, assert_kept, identify, keep, lives, track
from tests.faults.stepped_clock import SteppedClock
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import wait_until_settled
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.waiting import wait_until

HOUR = 3600.0
ROUNDS = scaled(1, 5)
EVENTS = 3

TIDIED = 4.0
"""Seconds within which the processes have looked for calls that waited for too long."""


def states(engine: Engine, name: str) -> set[str]:
    query = select(events.c.state).where(events.c.message_id.like(f"{name}-%"))
    return {row.state for row in read(engine, query)}


@engines("postgresql")
@pytest.mark.fault(36, "clock of all processes stepped back and forth by an hour, not Drip's")
def test_a_step_of_the_clock_neither_expires_nor_reorders(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    to_drip.app = "tests.faults.hurried:hurried()"  # at both scales, to be tidied each 3 s
    clock = SteppedClock(to_drip)
    store = Store(engine, "drip")
    promised: Actions = {}
    keep(store, [track("late", number) for number in range(EVENTS)])  # of whom nothing is known
    to_drip.start_deliverer()
    wait_until(lambda: states(engine, "late") == {"unidentified"})
    steps = [hours * HOUR for hours in (1, 0, -1, 0)] * ROUNDS
    for number, to in enumerate(steps):
        promised |= post(store, f"{number}-before", clock)
        wait_until(lambda: f"{number}-before-a@people.example" in drip.people())  # noqa: B023
        clock.set(to)  # in the midst of them
        if number < 2:
            time.sleep(TIDIED)
        promised |= post(store, f"{number}-after", clock)
        wait_until(lambda: states(engine, f"{number}-after") == {"sent"}, 30)  # noqa: B023
    assert states(engine, "late") == {"unidentified"}
    keep(store, [identify("late")])
    promised["late@people.example"] = [f"late-{number}" for number in range(EVENTS)]
    clock.set(2 * HOUR)  # as if the hours had passed: what was due by a clock ahead is due now
    wait_until_settled(engine, 30)
    assert assert_kept(drip, promised) == set()
    assert drip.refused_by_limit == []
    seen(
        f"{len(steps)} steps, {len(promised)} people, 0 missing, 0 twice, 0 out of order; "
        f"{EVENTS} calls that waited for an address: 0 expired"
    )


def post(store: Store, name: str, clock: SteppedClock) -> Actions:
    """The calls of a few people. What they do."""
    calls, done = lives((f"{name}-{who}" for who in "abc"), EVENTS)
    keep(store, calls, clock.now())
    return done


@engines("sqlite")
@pytest.mark.fault(36, "the same, when the requests of Drip's hour are used up")
def test_drips_own_hour_is_heeded_whatever_the_clock_says(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    limit = 10
    drip.limits = {"requests": limit, "batches": 1}
    to_drip.environ |= {"DRIP_REQUESTS_PER_HOUR": str(limit), "DRIP_BATCHES_PER_HOUR": "1"}
    clock = SteppedClock(to_drip)
    calls, promised = lives(range(2 * limit), 2)
    keep(Store(engine, "drip"), calls)
    to_drip.start_deliverer()
    wait_until(lambda: drip.answered == limit and not leases(engine))
    refused: list[int] = []
    steps = [hours * HOUR for hours in (2, 0, -1, 0)] * ROUNDS
    for to in steps:
        before = len(drip.refused_by_limit)
        clock.set(to)
        if not refused:
            # the deliverer may just have begun to rest for a minute
            wait_until(lambda: drip.refused_by_limit, 90)
        time.sleep(2)
        refused.append(len(drip.refused_by_limit) - before)
    assert max(refused) <= 2  # of each bucket one, and then it waits
    drip.limits = {"requests": 1_000, "batches": 1_000}  # as if the hour had passed
    for hours in count(3):
        clock.set(hours * HOUR)
        if not pending(engine):
            break
        time.sleep(1.5)
    assert assert_kept(drip, promised) == set()
    seen(
        f"{len(steps)} steps, {sum(refused)} requests refused for the limit, at most "
        f"{max(refused)} a step; {len(calls)} calls sent once and in order later"
    )


def pending(engine: Engine) -> bool:
    open_ones = select(events.c.id).where(events.c.state.in_(["pending", "unidentified"])).limit(1)
    return bool(read(engine, open_ones))
