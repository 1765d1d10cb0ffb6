"""Attack 20: a burst of webhooks with a wrong token, as fast as they are answered."""

import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from app.outbox.engine import open_database
from app.outbox.tables import events
from tests.bridge_process import ROOT, BridgeProcess
from tests.faults.attacks import ValidTraffic, memory
from tests.faults.conftest import scaled
from tests.faults.ledger import read

ENOUGH = scaled(1_000, 1_000_000)
"""Refusals at least."""

PAUSE = scaled(20, 0) / 1000
"""Seconds. At full scale the valid senders go flat out, as the burst does; all share two cores."""

MOST_MEMORY = 20 << 20

BURST = """
import itertools, threading
from tests.faults.attacks import WRONG, post
from tests.faults.ledger import event
from tests.wire import Wire

def run():
    request = post(event(0), WRONG)
    while next(left) > 0:
        with Wire({port}, timeout=60) as wire:
            wire.send(request)
            assert wire.answer().status == 401
            done.append(None)

left = itertools.count({requests}, -1)
done = []
threads = [threading.Thread(target=run) for _ in range({connections})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(done))
"""


def burst(bridge: BridgeProcess, connections: int, requests: int) -> int:
    """From a process of its own, until so many are refused; how many were."""
    code = BURST.format(port=bridge.port, connections=connections, requests=requests)
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    return int(said)


def rows(bridge: BridgeProcess) -> int:
    engine = open_database(make_url(bridge.environ["DATABASE_URL"]))
    (row,) = read(engine, select(func.count()).select_from(events))
    engine.dispose()
    return int(row[0])


@pytest.mark.fault(20, "a burst with a wrong token over 4 connections")
def test_a_burst_with_a_wrong_token_is_cheap_and_leaves_valid_traffic_its_share(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    before = memory(attacked)
    with ValidTraffic(attacked, connections=8, pause=PAUSE) as alone:
        time.sleep(scaled(1, 30))
    with ValidTraffic(attacked, connections=8, pause=PAUSE) as along:
        start = time.monotonic()
        refused = burst(attacked, connections=4, requests=ENOUGH)
        took = time.monotonic() - start
    grown = memory(attacked) - before
    kept = rows(attacked)
    assert alone.others == along.others == []
    seen(
        f"{refused:,} refused in {took:.0f} s; valid {alone.rate:,.0f}/s alone, "
        f"{along.rate:,.0f}/s along ({along.rate / alone.rate:.0%}), p99 {along.p99():.3f} s; "
        f"{kept - len(alone.seconds) - len(along.seconds)} of them kept; "
        f"the worker grew by {grown / (1 << 20):.1f} MiB"
    )
    assert refused == ENOUGH
    assert along.rate >= alone.rate * 2 / 3, (alone.rate, along.rate, refused)
    assert kept == len(alone.seconds) + len(along.seconds)
    assert grown < MOST_MEMORY
