"""Attack 20: a burst of webhooks with a wrong token, as fast as they are answered."""

import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.tables import events
from tests.faults.attacks import ValidTraffic, memory
from tests.faults.conftest import FULL, scaled
from tests.faults.ledger import read
from tests.support.bridge_process import ROOT, BridgeProcess

ROUNDS = scaled(3, 1)
ENOUGH = scaled(300, 1_000_000)
"""Refusals a round, or as many as come within `LONGEST`."""

LONGEST = scaled(60, 300)
"""Seconds."""

SHARE = 1 / 2 if FULL else 1 / 3
"""At the small scale other tests run beside, on the same cores: what they take differs from one
second to the next."""

PAUSE = scaled(20, 0) / 1000
"""Seconds. At full scale the valid senders go flat out, as the burst does; all share two cores."""

MOST_MEMORY = 20 << 20

BURST = """
import itertools, threading, time
from tests.faults.attacks import WRONG, post
from tests.faults.ledger import event
from tests.support.wire import Wire

def run():
    request = post(event(0), WRONG)
    while next(left) > 0 and time.monotonic() < ends:
        with Wire({port}, timeout=60) as wire:
            wire.send(request)
            assert wire.answer().status == 401
            done.append(None)

left = itertools.count({requests}, -1)
ends = time.monotonic() + {seconds}
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
    code = BURST.format(
        port=bridge.port, connections=connections, requests=requests, seconds=LONGEST
    )
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    return int(said)


def rows(bridge: BridgeProcess) -> int:
    engine = open_database(make_url(bridge.environ["DATABASE_URL"]))
    (row,) = read(engine, select(func.count()).select_from(events))
    engine.dispose()
    return int(row[0])


@pytest.mark.fault(20, "a burst with a wrong token over 4 connections")
def test_a_burst_with_a_wrong_token_is_cheap(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    before = memory(attacked)
    refused, took, valid = 0, 0.0, 0
    alone_rates, along_rates, slowest = [], [], 0.0
    for _ in range(ROUNDS):
        with ValidTraffic(attacked, connections=8, pause=PAUSE) as alone:
            time.sleep(scaled(1, 30))
        with ValidTraffic(attacked, connections=8, pause=PAUSE) as along:
            start = time.monotonic()
            refused += burst(attacked, connections=4, requests=ENOUGH)
            took += time.monotonic() - start
        assert alone.others == along.others == []
        valid += len(alone.seconds) + len(along.seconds)
        alone_rates.append(alone.rate)
        along_rates.append(along.rate)
        slowest = max(slowest, along.p99())
    share = median(along_rates) / median(alone_rates)
    grown = memory(attacked) - before
    kept = rows(attacked)
    seen(
        f"{refused:,} refused in {took:.0f} s; valid {median(alone_rates):,.0f}/s alone, "
        f"{median(along_rates):,.0f}/s along ({share:.0%}), p99 {slowest:.3f} s; "
        f"{kept - valid} of them kept; the worker grew by {grown / (1 << 20):.1f} MiB"
    )
    assert refused >= scaled(ROUNDS * ENOUGH, 50_000)
    assert share >= SHARE, (alone_rates, along_rates)
    assert kept == valid
    assert grown < MOST_MEMORY
