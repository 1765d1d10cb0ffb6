"""Fault 35: five deliverers over one outbox, and fewer requests an hour than are needed."""

import time
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from app.outbox.store import Store
from tests.faults.conftest import scaled
from tests.faults.deliverers import leases
from tests.faults.ledger import read
from tests.faults.people import assert_kept, keep, lives, most_in_an_hour
from tests.faults.stepped_clock import SteppedClock
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import send_to_drip
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.waiting import wait_until

DELIVERERS = 5
PEOPLE, EVENTS = scaled(20, 400), 4
LIMITS = {"requests": scaled(20, 200), "batches": 1}

STEP = 1_300.0
"""Seconds by which the clock goes on whenever nothing happens: longer than a call waits for a
request of its own, before it goes in a small batch."""

QUIET = 1.5
"""Seconds without a request, of which five processes would make some if they might; more than twice
as long as they wait for a batch. A step of the clock ahead would end the turn of who is sending."""


@pytest.fixture
def clock(bridge: BridgeProcess) -> SteppedClock:
    return SteppedClock(bridge)


@pytest.fixture
def drip(clock: SteppedClock) -> Iterator[FakeDripRest]:
    """By the clock of the processes."""
    with FakeDripRest(
        clock=clock.now,
        batch_delay=0.4,
        requests_per_hour=LIMITS["requests"],
        batches_per_hour=LIMITS["batches"],
    ) as fake:
        yield fake
        assert fake.violations == []


@pytest.mark.fault(
    35, "5 deliverers to Drip over one outbox, more calls than an hour's limits allow"
)
def test_five_deliverers_keep_to_the_limits_and_to_the_order(
    bridge: BridgeProcess,
    clock: SteppedClock,
    drip: FakeDripRest,
    engine: Engine,
    seen: Callable[[str], None],
) -> None:
    send_to_drip(
        bridge,
        drip,
        DRIP_BATCH_SETTLE="0.01",
        DRIP_REQUESTS_PER_HOUR=str(LIMITS["requests"]),
        DRIP_BATCHES_PER_HOUR=str(LIMITS["batches"]),
    )
    calls, promised = lives(range(PEOPLE), EVENTS)
    for _ in range(DELIVERERS):
        bridge.start_deliverer()
    keep(Store(engine, "drip"), calls)
    wait_until(lambda: drip.visits, 60)
    unsettled = select(events.c.id).where(events.c.state != "sent").limit(1)
    for step in count(1):
        wait_until_quiet(engine, drip)
        if not read(engine, unsettled):
            break
        assert step < scaled(40, 400)
        clock.set(step * STEP)
    clock.set(clock.ahead + STEP)
    assert assert_kept(drip, promised) == set()
    assert drip.refused_by_limit == []
    most = most_in_an_hour(drip)
    assert all(most[bucket] <= limit for bucket, limit in LIMITS.items())
    assert most["requests"] > LIMITS["requests"] * 0.9  # the limit was felt
    hours = (drip.visits[-1].at - drip.visits[0].at) / 3600
    seen(
        f"{len(calls)} calls of {PEOPLE} people in {len(drip.visits)} requests over {hours:.1f} h "
        f"of a clock that goes on when nothing happens; at most {most['requests']} of "
        f"{LIMITS['requests']} single requests and {most['batches']} of {LIMITS['batches']} "
        f"batches in any hour; 0 twice, 0 out of order, 0 at once"
    )


def wait_until_quiet(engine: Engine, drip: FakeDripRest) -> None:
    """Until nobody has a request in hand, or made one lately."""
    before = -1
    while before != len(drip.visits):
        before = len(drip.visits)
        time.sleep(QUIET)
        wait_until(lambda: not leases(engine))
