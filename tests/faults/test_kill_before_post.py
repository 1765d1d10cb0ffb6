"""Fault 2: a deliverer dies with a batch in hand that Segment has not seen."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import FULL, scaled
from tests.faults.deliverers import (
    another_deliverer,
    assert_nothing_posted,
    full_queue,
    lease_end,
    put_events,
    seconds_after,
    wait_until_sent,
)
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import shorten_lease
from tests.support.fake_segment import FakeSegment

ROUNDS = scaled(1, 6)
LEASE = 4.2 if FULL else 0.5
EVENTS = 20
"""A round, all in one batch."""


@pytest.mark.fault(2, "SIGKILL of a deliverer after its claim, before its POST")
def test_a_batch_is_sent_after_a_death_before_posting(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, seen: Callable[[str], None]
) -> None:
    shorten_lease(bridge, LEASE)
    store = Store(engine, "segment")
    late = []
    with full_queue() as (nowhere, listener):
        for start in range(0, ROUNDS * EVENTS, EVENTS):
            ids = put_events(store, range(start, start + EVENTS))
            victim = bridge.start_deliverer(SEGMENT_HOST=nowhere)
            ended = lease_end(engine)
            bridge.kill(victim)
            with another_deliverer(store, segment.url):
                wait_until_sent(engine, ids)
            assert {call["messageId"] for call in segment.batches[-1].calls} == ids
            late.append(seconds_after(ended, segment.batches[-1]))
        assert_nothing_posted(listener)
    assert len(segment.batches) == ROUNDS
    seen(
        f"{ROUNDS} kills, {EVENTS} events in hand at each, 0 missing; "
        f"sent {max(late):.1f} s after their lease ended, or sooner"
    )
