"""Fault 38: Drip is away, then silent, then answers in error, then is back."""

import json
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import engines, scaled
from tests.faults.people import assert_kept, keep, lives
from tests.faults.proxy import Proxy
from tests.faults.stepped_clock import SteppedClock
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import wait_until_settled
from tests.support.drip_requests import HOUR_IS_OVER, Reply
from tests.support.fake_drip_rest import FakeDripRest, Visit
from tests.support.waiting import wait_until

EVENTS = 6
PEOPLE = scaled(8, 12)

BUSY = "Too many concurrent requests for the same subscriber"
AT_ONCE = Reply(429, json.dumps({"message": BUSY}).encode())

CLOSED = 601.0
"""Seconds without a request after Drip said that none is left of the hour."""


@pytest.fixture
def proxy(drip: FakeDripRest) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", int(drip.url.rpartition(":")[2]))) as proxy:
        yield proxy


@engines("postgresql")
@pytest.mark.fault(38, "Drip refuses, is silent, answers 500 and both kinds of 429, then is back")
def test_calls_wait_for_drip_in_their_order(
    to_drip: BridgeProcess,
    engine: Engine,
    drip: FakeDripRest,
    proxy: Proxy,
    seen: Callable[[str], None],
) -> None:
    to_drip.app = "tests.faults.hurried:hurried()"  # at both scales: minutes of waits otherwise
    to_drip.environ |= {"DRIP_API_URL": f"http://127.0.0.1:{proxy.port}", "LOG_LEVEL": "debug"}
    clock = SteppedClock(to_drip)
    calls, promised = lives(range(PEOPLE), EVENTS)
    keep(Store(engine, "drip"), calls)

    proxy.refuse()
    to_drip.start_deliverer()
    to_drip.wait_for_log("no answer (ConnectionError)")
    proxy.accept()
    during(drip, PEOPLE + 1, Reply(hang=0.05))  # everybody is known, and something was done
    before = len(drip.visits) - 1  # that one may be under way
    proxy.is_silent = True
    during(drip, 3)
    proxy.is_silent = False
    silent = drip.visits[before:]
    failed = during(drip, 3, Reply(500))
    busy = during(drip, PEOPLE, AT_ONCE)
    over = during(drip, 1, HOUR_IS_OVER)
    quiet = len(drip.visits)
    time.sleep(1.5)
    assert len(drip.visits) == quiet  # nothing more is asked for now
    drip.behave = lambda _: None
    clock.set(CLOSED)
    wait_until_settled(engine, 40)

    actions = {item["action"] for visit in silent for item in visit.items if "action" in item}
    twice = assert_kept(drip, promised, twice=actions)
    assert twice
    assert len(over) == 1
    assert len(failed) <= 6
    assert drip.refused_by_limit == []
    seen(
        f"{len(calls)} calls of {PEOPLE} people: {len(silent)} requests without an answer, "
        f"{len(failed)} times 500, {len(busy)} times 429 for one person, {len(over)} for all; 0 "
        f"missing, 0 out of order, {len(twice)} events twice, which had no answer"
    )


def during(drip: FakeDripRest, most: int, answer: Reply | None = None) -> list[Visit]:
    """What comes while Drip answers so, until it was so many requests."""
    before = len(drip.visits)
    drip.behave = lambda _: answer
    wait_until(lambda: len(drip.visits) >= before + most, 40)
    return drip.visits[before:]
