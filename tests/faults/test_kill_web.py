"""Fault 1: the web processes die without a word, again and again, while webhooks come in."""

from collections.abc import Callable

import psutil
import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.faults.conftest import FULL, scaled
from tests.faults.ledger import Ledger, Load, read
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import shorten_lease
from tests.support.fake_segment import FakeSegment
from tests.support.waiting import wait_until

KILLS = scaled(2, 200)

BETWEEN = 20
"""Promises from one kill to the next, at the least: each comes in the midst of answering."""


@pytest.mark.fault(1, "SIGKILL of the web worker, and of gunicorn as a whole, in turn, under load")
def test_every_promise_outlives_the_process_that_gave_it(
    bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    if not FULL:
        shorten_lease(bridge, 1)  # that of a batch in hand at the last kill is waited out
    web = bridge.start_web()
    with Load(bridge.webhook, ledger):
        for kill in range(KILLS):
            enough = len(ledger.promised) + BETWEEN
            wait_until(lambda: len(ledger.promised) >= enough)  # noqa: B023
            if kill % 2:
                bridge.kill(web)
                web = bridge.start_web()
            else:
                for worker in psutil.Process(web.pid).children():
                    worker.kill()
    assert ledger.promised <= {row.message_id for row in read(engine, select(events.c.message_id))}
    ledger.wait_for_all(segment, seconds=60)
    seen(f"{KILLS} kills, {ledger.summary(segment)}")
