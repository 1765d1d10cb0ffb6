"""Fault 3: a deliverer dies when Segment has taken its batch, and before it could note that."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import FULL, scaled
from tests.faults.deliverers import (
    ANOTHER,
    another_deliverer,
    lease_end,
    locked,
    put_events,
    seconds_after,
    wait_until_sent,
)
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import shorten_lease
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

ROUNDS = scaled(1, 6)
LEASE = 4.2 if FULL else 0.5
EVENTS = 20
"""A round, all in one batch."""


@pytest.mark.fault(3, "SIGKILL of a deliverer after Segment's 200, before it settles")
def test_a_batch_is_sent_again_after_a_death_before_settling(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, seen: Callable[[str], None]
) -> None:
    shorten_lease(bridge, LEASE)
    store = Store(engine, "segment")
    held = ExitStack()

    def hold_up_the_settling(batch: Batch) -> Reply:
        if batch.write_key != ANOTHER:
            held.enter_context(locked(engine))
        return OK

    segment.behave = hold_up_the_settling
    late = []
    for start in range(0, ROUNDS * EVENTS, EVENTS):
        ids = put_events(store, range(start, start + EVENTS))
        answered = segment.answered
        victim = bridge.start_deliverer()
        with held:
            wait_until(lambda: segment.answered > answered)  # noqa: B023
            time.sleep(0.1)  # to read the answer; that it cannot settle is the lock's doing
            bridge.kill(victim)
        ended = lease_end(engine)
        with another_deliverer(store, segment.url):
            wait_until_sent(engine, ids)
        first, second = segment.batches[-2:]
        assert {call["messageId"] for call in first.calls} == ids
        assert first.calls == second.calls
        late.append(seconds_after(ended, second))
    assert len(segment.batches) == 2 * ROUNDS
    seen(
        f"{ROUNDS} kills, {EVENTS} events in hand at each, 0 missing, "
        f"{ROUNDS * EVENTS} sent again with the same id, "
        f"{max(late):.1f} s after their lease ended, or sooner"
    )
