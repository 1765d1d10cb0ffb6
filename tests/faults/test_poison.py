"""Fault 7: one event that Segment refuses any batch for."""

import math
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.faults.conftest import engines, scaled
from tests.faults.ledger import Ledger, event, read
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

MOST_REQUESTS = 2 * math.ceil(math.log2(100)) + 1
"""To find one among a hundred by halving."""


@engines("postgresql")
@pytest.mark.fault(7, "Segment answers 400 to any batch with one of 100 events")
def test_one_poison_event_dies_alone_with_the_reason(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    poison: set[str] = set()

    def refuse_poison(batch: Batch) -> Reply:
        if poison & {call["messageId"] for call in batch.calls}:
            return Reply(400, b'{"code": "bad", "message": "not to our taste"}')
        return OK

    segment.behave = refuse_poison
    rounds = scaled(1, 20)
    for turn in range(rounds):
        web = scaled_bridge.start_web(DELIVER_IN_WEB="false")
        for number in range(100):
            answer = scaled_bridge.post(event(turn * 100 + number))
            assert ledger.record(answer)
            if number == (57 + 7 * turn) % 100:
                poison.add(answer.json()["message_id"])
        scaled_bridge.kill(web)
        before = len(segment.batches)
        deliverer = scaled_bridge.start_deliverer()
        wait_until_settled(engine)
        assert len(segment.batches) - before <= MOST_REQUESTS
        scaled_bridge.kill(deliverer)

    assert ledger.missing(segment) == poison
    assert ledger.repeats(segment) == 0
    dead = read(engine, select(events.c.message_id, events.c.error).where(events.c.state == "dead"))
    assert {row.message_id for row in dead} == poison
    assert {row.error for row in dead} == {"HTTP 400 bad: not to our taste"}
    seen(f"{rounds} times: {len(segment.calls):,} sent once, {len(dead)} dead with the reason")


def wait_until_settled(engine: Engine) -> None:
    pending = select(events.c.id).where(events.c.state == "pending")
    wait_until(lambda: not read(engine, pending), 30)
