"""Fault 5: a deliverer sleeps past its lease, and wakes when its batch is in another's hands."""

import signal
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import FULL, scaled
from tests.faults.deliverers import (
    ANOTHER,
    another_deliverer,
    put_events,
    states,
    stop,
)
from tests.support.bridge_process import BridgeProcess, Process
from tests.support.drip_process import shorten_lease
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

ROUNDS = scaled(1, 4)
LEASE = 4.0 if FULL else 0.5
EVENTS = 20
"""A round and account, all in one batch."""

ANSWERS = {"101": OK, "102": Reply(status=503)}
"""What the sleeper of each account reads when it wakes: it wants to settle both."""

REFUSED = f'event="events were no longer ours: lease overrun" events={EVENTS}'


@pytest.mark.fault(5, "SIGSTOP of a deliverer past its lease, then SIGCONT")
def test_a_sleeper_cannot_settle_what_another_has_in_hand(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, seen: Callable[[str], None]
) -> None:
    shorten_lease(bridge, LEASE)
    bridge.environ["LOG_LEVEL"] = "debug"  # or lines that repeat are held back
    store = Store(engine, "segment")
    for start in range(0, ROUNDS * EVENTS, EVENTS):
        ids = {key: put_events(store, range(start, start + EVENTS), key) for key in ANSWERS}
        sleepers = {
            key: bridge.start_deliverer(SEGMENT_WRITE_KEY="", SEGMENT_WRITE_KEYS=f"{key}={key}")
            for key in ANSWERS
        }
        segment.behave = put_to_sleep(bridge, engine, sleepers, ids)
        answered = segment.answered
        wait_until(lambda: segment.answered == answered + len(sleepers))  # noqa: B023
        with another_deliverer(store, segment.url) as another:
            wait_until(lambda: another.outcomes.total() == len(ANSWERS) * EVENTS)
        assert another.outcomes == {"sent": len(ANSWERS) * EVENTS}
        for sleeper in sleepers.values():
            sleeper.send_signal(signal.SIGTERM)
            assert sleeper.wait(timeout=20) == 0
        assert states(engine, set().union(*ids.values())) == {("sent", 1, None)}
        sent = Counter(segment.message_ids())
        assert {sent[id_] for id_ in ids["101"]} == {2}
        assert {sent[id_] for id_ in ids["102"]} == {1}
    refused = bridge.log.read_text().count(REFUSED)
    assert refused == len(ANSWERS) * ROUNDS
    seen(f"{refused} batches of {EVENTS} settled too late: all refused, and the log says so")


def put_to_sleep(
    bridge: BridgeProcess,
    engine: Engine,
    sleepers: Mapping[str, Process],
    ids: Mapping[str, set[str]],
) -> Callable[[Batch], Reply]:
    """Stop each sleeper before its answer, and let it try to settle before the other's answer."""

    def behave(batch: Batch) -> Reply:
        sent = {call["messageId"] for call in batch.calls}
        accounts = [key for key in ids if sent & ids[key]]
        if batch.write_key != ANOTHER:
            (account,) = accounts
            stop(sleepers[account], engine)
            return ANSWERS[account]
        for account in accounts:  # of both at once, since they share the other's key
            refused = bridge.log.read_text().count(REFUSED)
            sleepers[account].send_signal(signal.SIGCONT)
            wait_until(lambda: bridge.log.read_text().count(REFUSED) > refused, timeout=5)  # noqa: B023
        return OK

    return behave
