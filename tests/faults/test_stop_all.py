"""Fault 4: the platform stops everything at once, as Heroku does each day."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from json import loads

import psutil
import pytest
from sqlalchemy import Engine

from app.outbox.store import Store
from tests.faults.conftest import FULL
from tests.faults.deliverers import another_deliverer, leases
from tests.faults.ledger import Ledger, event
from tests.support.bridge_process import TOKEN, BridgeProcess, Process
from tests.support.fake_segment import OK, FakeSegment, Reply
from tests.support.waiting import wait_until

LONGEST_STOP = 25.0
"""Seconds; Heroku waits 30 before it kills."""

SIGNALS_APART = 0.05

STOPS = [(1, 1.5), (2, 1.5), (1, 15.0), (2, 15.0)]
"""Web workers, and seconds that Segment takes over the batches in hand: no deliverer waits 15."""


class Callers:
    """Each calls on a new connection, and knows what it may expect of that."""

    def __init__(self, bridge: BridgeProcess, ledger: Ledger, numbers: Iterator[int]) -> None:
        self._path = f"/webhooks/drip?token={TOKEN}"
        self._address = bridge.base.removeprefix("http://")
        self._ledger = ledger
        self._numbers = numbers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(8)]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.make_no_more_calls()
        for thread in self._threads:
            thread.join()

    def make_no_more_calls(self) -> None:
        """Who has called stays for the answer."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            connection = HTTPConnection(self._address, timeout=30)
            try:
                connection.connect()
            except ConnectionError:
                self._stop.wait(0.02)  # nobody listens: nothing was taken from us
                continue
            try:
                body = event(next(self._numbers))
                connection.request("POST", self._path, body, {"Connection": "close"})
                answer = connection.getresponse()
                promise = loads(answer.read())
            except (OSError, HTTPException):
                self._ledger.answers["cut off"] += 1
            else:
                self._ledger.answers[answer.status] += 1
                if answer.status == 200:
                    self._ledger.promised.add(promise["message_id"])
            finally:
                connection.close()


@pytest.mark.fault(4, "SIGTERM to all processes at once, again and again, under load")
def test_a_stop_cuts_nobody_off_and_leaves_nothing_in_hand(
    bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    stops = STOPS if FULL else [STOPS[engine.dialect.name == "postgresql"]]
    numbers = count()
    took = []
    for workers, hang in stops:
        segment.behave = lambda _: OK
        keys = {f"{name}-{workers}-{hang}" for name in ("one", "two")}
        processes = [bridge.start_deliverer(SEGMENT_WRITE_KEY=key) for key in keys]
        processes.append(bridge.start_web(WEB_CONCURRENCY=str(workers)))
        with Callers(bridge, ledger, numbers) as callers:
            wait_until(lambda: keys <= {batch.write_key for batch in segment.batches}, 60)  # noqa: B023
            segment.behave = lambda _: Reply(hang=hang)  # noqa: B023
            wait_until(lambda: batches_in_hand(engine) == 2 + workers, 60)  # noqa: B023
            took.append(stop(processes, callers))
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert not leases(engine)
    assert ledger.answers.keys() == {200}
    segment.behave = lambda _: OK
    with another_deliverer(Store(engine, "segment"), segment.url):
        ledger.wait_for_all(segment, seconds=30)
    seen(
        f"{len(stops)} stops in {max(took):.1f} s or less, all ended with 0, "
        f"{ledger.answers.total():,} callers let in, 0 cut off, 0 leases left; "
        f"{ledger.summary(segment)}"
    )


def batches_in_hand(engine: Engine) -> int:
    """Of all deliverers together: no two claim at the same instant."""
    return len({row.due_at for row in leases(engine)})


def stop(processes: list[Process], callers: Callers) -> float:
    """Seconds until all are gone. gunicorn's workers may hear of it before their master does."""
    started = time.monotonic()
    for process in processes:
        for worker in psutil.Process(process.pid).children():
            worker.terminate()
    while any(process.poll() is None for process in processes):
        assert time.monotonic() < started + LONGEST_STOP
        time.sleep(SIGNALS_APART)
        for process in processes:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        # not at the very moment when the last listener closes: nobody could answer those
        callers.make_no_more_calls()
    return time.monotonic() - started
