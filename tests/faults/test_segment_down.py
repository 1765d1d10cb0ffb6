"""Fault 6: Segment is away, then answers in error, then is back."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, Row, select

from app.database.tables import events
from app.drip_to_segment.destination import SegmentDestination
from tests.faults.conftest import engines, scaled, seconds
from tests.faults.ledger import Ledger, Load, read
from tests.faults.proxy import Proxy
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.waiting import wait_until

KEYS = {"1": "error", "2": "seconds", "3": "date", "4": "garbage"}
"""Account → write key, which says how the fake Segment fails; all at the same time."""

FIRST = seconds(SegmentDestination.retry.first)
ASKED = scaled(1, 7)
"""Seconds, longer than the bridge would wait by itself."""


class Outage:
    """Answers by write key, and remembers who came before it was asked to."""

    def __init__(self) -> None:
        self.early: Counter[str] = Counter()
        self._not_before: dict[str, float] = {}

    def behave(self, batch: Batch) -> Reply:
        key, now = batch.write_key, time.time()
        if now < self._not_before.get(key, 0.0):
            self.early[key] += 1
        if key == "error":
            return Reply(500)
        if key == "seconds":
            self._not_before[key] = now + ASKED
            return Reply(429, headers={"Retry-After": str(ASKED)})
        if key == "date":
            self._not_before[key] = int(now) + ASKED + 1
            return Reply(
                429, headers={"Retry-After": formatdate(int(now) + ASKED + 1, usegmt=True)}
            )
        return Reply(429, headers={"Retry-After": "after lunch"})


@pytest.fixture
def proxy(segment: FakeSegment) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", int(segment.url.rpartition(":")[2]))) as proxy:
        yield proxy


@engines("postgresql")
@pytest.mark.fault(6, "Segment refuses connections, then answers 500 and 429, then is back")
def test_a_backlog_waits_without_a_hail_of_requests(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    proxy: Proxy,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    outage = Outage()
    segment.behave = outage.behave
    proxy.refuse()
    scaled_bridge.environ["LOG_LEVEL"] = "debug"  # or lines that repeat are held back
    scaled_bridge.environ["SEGMENT_HOST"] = f"http://127.0.0.1:{proxy.port}"
    scaled_bridge.environ["SEGMENT_WRITE_KEYS"] = ",".join(f"{a}={k}" for a, k in KEYS.items())
    scaled_bridge.start_deliverer()
    scaled_bridge.start_web(DELIVER_IN_WEB="false")
    started = time.monotonic()
    with Load(scaled_bridge.webhook, ledger, threads=2, accounts=tuple(KEYS), pause=0.01):
        wait_until(lambda: refusals(scaled_bridge) >= len(KEYS))
        time.sleep(seconds(8))
        proxy.accept()
        refused_for = time.monotonic() - started
        time.sleep(max(seconds(16), 1.2))
    refused = refusals(scaled_bridge)
    assert len(KEYS) <= refused <= len(KEYS) * (refused_for / FIRST + 1)
    assert ledger.answers.keys() == {200}

    assert_apart(engine, segment)
    outage_batches = list(segment.batches)
    assert {batch.write_key for batch in outage_batches} == set(KEYS.values())
    assert_rests(outage_batches)

    segment.behave = lambda _: OK
    back = time.monotonic()
    ledger.wait_for_all(segment, seconds=scaled(20, 90))
    assert not outage.early
    assert ledger.repeats(segment) == 0
    seen(
        f"{ledger.summary(segment)}, {refused} refused connections and {len(outage_batches)} "
        f"requests while it was down, drained {time.monotonic() - back:.1f} s after"
    )


def refusals(bridge: BridgeProcess) -> int:
    return bridge.log.read_text().count("no answer (ConnectionError)")


def assert_apart(engine: Engine, segment: FakeSegment) -> None:
    """Events that failed in one batch are due again at times of their own."""
    batch = max(segment.batches, key=lambda batch: len(batch.calls))
    ids = [call["messageId"] for call in batch.calls]
    statement = select(events.c.due_at, events.c.lease).where(events.c.message_id.in_(ids))
    found: list[Row[Any]] = []

    def nothing_is_on_its_way() -> bool:
        found[:] = read(engine, statement)
        return not any(row.lease for row in found)

    wait_until(nothing_is_on_its_way)
    due = [row.due_at for row in found]
    assert len(due) > 5
    assert len(set(due)) == len(due)
    assert max(due) - min(due) > FIRST * SegmentDestination.retry.spread / 5


def assert_rests(batches: list[Batch]) -> None:
    """After a failure nothing is sent with the same key for a while."""
    for key in KEYS.values():
        times = [batch.at for batch in batches if batch.write_key == key]
        assert all(later - earlier > FIRST * 0.95 for earlier, later in pairwise(times)), key
