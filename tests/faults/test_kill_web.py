"""Fault 1: the web processes die without a word, again and again, while webhooks come in."""

import time
from collections.abc import Callable

import pytest

from tests.bridge_process import BridgeProcess
from tests.fake_segment import FakeSegment
from tests.faults.conftest import scaled
from tests.faults.ledger import Ledger, Load


@pytest.mark.fault(1, "SIGKILL of all web processes under load")
def test_every_promise_outlives_the_process_that_gave_it(
    bridge: BridgeProcess, segment: FakeSegment, ledger: Ledger, seen: Callable[[str], None]
) -> None:
    kills = scaled(3, 200)
    web = bridge.start_web()
    with Load(bridge.webhook, ledger):
        for _ in range(kills):
            time.sleep(0.3)
            bridge.kill(web)
            web = bridge.start_web()
    # a batch in hand at the last kill falls due again when its lease ends
    ledger.wait_for_all(segment, seconds=60)
    assert ledger.promised
    seen(f"{kills} kills, {ledger.summary(segment)}")
