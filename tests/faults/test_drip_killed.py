"""Faults 29 and 30: a deliverer dies with a request for Drip in hand."""

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import scaled
from tests.faults.deliverers import (
    another_to_drip,
    assert_nothing_posted,
    full_queue,
    leases,
    locked,
)
from tests.faults.people import Actions, assert_kept, keep, lives
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import shorten_lease, wait_until_settled
from tests.support.fake_drip_rest import FakeDripRest, Visit
from tests.support.waiting import wait_until

LEASE = 0.4
"""Seconds; a turn lasts twice as long, and Drip takes longer for a batch."""

ROUNDS = scaled(1, 6)
CROWDS = {"single": 8, "batch": scaled(60, 300)}
"""People who come at once. The calls of a large crowd go in batches; the more batches of the hour
are used, the larger it has to be."""

EVENTS = 3


@pytest.mark.parametrize("way", CROWDS)
@pytest.mark.fault(29, "SIGKILL of a deliverer after its claim, before its POST to Drip")
def test_calls_are_sent_after_a_death_before_posting(
    to_drip: BridgeProcess,
    engine: Engine,
    drip: FakeDripRest,
    way: str,
    seen: Callable[[str], None],
) -> None:
    shorten_lease(to_drip, LEASE)
    promised: Actions = {}
    with full_queue() as (nowhere, listener):
        for turn in range(ROUNDS):
            calls, done = lives((f"{turn}-{n}" for n in range(CROWDS[way])), EVENTS)
            promised |= done
            keep(Store(engine, "drip"), calls)
            victim = to_drip.start_deliverer(DRIP_API_URL=nowhere)
            wait_until(lambda: leases(engine))
            to_drip.kill(victim)
            with another_to_drip(engine, drip):
                wait_until_settled(engine, 40)
        assert_nothing_posted(listener)
    assert assert_kept(drip, promised) == set()
    assert drip.refused_by_limit == []
    seen(f"{way}: {ROUNDS} kills, {len(promised)} people, 0 missing, 0 twice, 0 out of order")


@pytest.mark.parametrize("way", CROWDS)
@pytest.mark.fault(30, "SIGKILL of a deliverer after Drip's answer, before it settles")
def test_only_the_request_in_hand_is_sent_again(
    to_drip: BridgeProcess,
    engine: Engine,
    drip: FakeDripRest,
    way: str,
    seen: Callable[[str], None],
) -> None:
    shorten_lease(to_drip, LEASE)
    held = ExitStack()
    in_hand: list[Visit] = []

    def hold_up_the_settling(visit: Visit) -> None:
        if is_armed and visit.call and visit.call.kind == "event":
            is_armed.clear()
            in_hand.append(visit)
            held.enter_context(locked(engine))

    drip.behave = hold_up_the_settling
    promised: Actions = {}
    for turn in range(ROUNDS):
        calls, done = lives((f"{turn}-{n}" for n in range(CROWDS[way])), EVENTS)
        promised |= done
        keep(Store(engine, "drip"), calls)
        is_armed = [True]
        victim = to_drip.start_deliverer()
        with held:
            wait_until(lambda: not is_armed and drip.answered == len(drip.visits))  # noqa: B023
            time.sleep(0.1)  # to read the answer; that it cannot settle is the lock's doing
            to_drip.kill(victim)
        with another_to_drip(engine, drip):
            wait_until_settled(engine, 40)
    assert all(visit.call and visit.call.is_batch == (way == "batch") for visit in in_hand)
    actions = {item["action"] for visit in in_hand for item in visit.items}
    assert assert_kept(drip, promised, twice=actions) == actions
    assert drip.refused_by_limit == []
    seen(
        f"{way}: {ROUNDS} kills, {len(promised)} people, 0 missing, 0 out of order, "
        f"{len(actions)} events twice, which were in hand"
    )
