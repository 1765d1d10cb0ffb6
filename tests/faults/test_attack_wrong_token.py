"""Attack 20: a burst of webhooks with a wrong token, as fast as they are answered."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from app.outbox.engine import open_database
from app.outbox.tables import events
from tests.bridge_process import ROOT, BridgeProcess
from tests.faults.attacks import ValidTraffic, memory
from tests.faults.conftest import scaled
from tests.faults.ledger import read

MILLION = 1_000_000
PAUSE = 0.02
"""Seconds. Valid traffic asks for some 300 a second: at full speed it would have to share two cores
with the burst and with both of their senders, and the machine would be measured."""

MOST_MEMORY = 20 << 20

BURST = """
import sys, threading
from tests.faults.attacks import WRONG, post
from tests.faults.ledger import event
from tests.wire import Wire

refused = [0] * {connections}

def run(number):
    request = post(event(0), WRONG)
    with Wire({port}, timeout=60) as wire:
        while not stopped.is_set():
            wire.send(request)
            assert wire.answer().status == 401
            refused[number] += 1

stopped = threading.Event()
threads = [threading.Thread(target=run, args=(n,)) for n in range({connections})]
for thread in threads:
    thread.start()
sys.stdin.read()
stopped.set()
for thread in threads:
    thread.join()
print(sum(refused))
"""


@contextmanager
def burst(bridge: BridgeProcess, connections: int) -> Iterator[list[int]]:
    """From a process of its own; at the end it says how many were refused."""
    code = BURST.format(port=bridge.port, connections=connections)
    refused: list[int] = []
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        text=True,
    ) as process:
        try:
            yield refused
        finally:
            said, _ = process.communicate(timeout=30)
            refused.append(int(said or 0))


def rows(bridge: BridgeProcess) -> int:
    engine = open_database(make_url(bridge.environ["DATABASE_URL"]))
    (row,) = read(engine, select(func.count()).select_from(events))
    engine.dispose()
    return int(row[0])


@pytest.mark.fault(20, "a burst with a wrong token over 4 connections")
def test_a_burst_with_a_wrong_token_is_cheap_and_leaves_valid_traffic_its_share(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    seconds = scaled(10, 300) / 10
    before = memory(attacked)
    with ValidTraffic(attacked, connections=8, pause=PAUSE) as alone:
        time.sleep(seconds)
    with burst(attacked, connections=4) as refused:
        time.sleep(0.5)  # until it is under way
        with ValidTraffic(attacked, connections=8, pause=PAUSE) as along:
            start = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - start
    grown = memory(attacked) - before
    kept = rows(attacked)
    assert alone.others == along.others == []
    seen(
        f"{refused[0]:,} refused in {took + 0.5:.0f} s (a million would take "
        f"{MILLION / refused[0] * (took + 0.5) / 60:.0f} min); valid {alone.rate:.0f}/s alone, "
        f"{along.rate:.0f}/s along ({along.rate / alone.rate:.0%}), p99 {along.p99():.3f} s; "
        f"{kept - len(alone.seconds) - len(along.seconds)} of them kept; "
        f"the worker grew by {grown / (1 << 20):.1f} MiB"
    )
    assert along.rate >= alone.rate * 2 / 3, (alone.rate, along.rate, refused)
    assert kept == len(alone.seconds) + len(along.seconds)
    assert grown < MOST_MEMORY
