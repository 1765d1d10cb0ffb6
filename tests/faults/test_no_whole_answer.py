"""Fault 9: Segment hangs, drips, or breaks off: no whole answer, in any of its ways."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select

from app.database.tables import events
from app.delivery.worker import LEASE
from tests.faults.conftest import engines, scaled, seconds
from tests.faults.ledger import Ledger, event, read
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, FakeSegment, Reply
from tests.support.waiting import wait_until

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n"
LONG = b'{"success": true, "fill": "' + b"x" * 100 + b'"}'

FAULTS = {
    "hangs": Reply(hang=seconds(600)),
    "drips-in-the-head": Reply(raw=HEAD + b'{"success": true}', seconds_a_byte=seconds(1)),
    "drips-in-the-body": Reply(body=LONG, seconds_a_byte=seconds(1)),
    "resets-in-the-head": Reply(raw=HEAD[:40], reset=True),
    "resets-in-the-body": Reply(cut_after=8, reset=True),
    "cuts-the-body-short": Reply(cut_after=16),
    "says-nothing": Reply(raw=b""),
}
"""By write key."""


@engines("sqlite")
@pytest.mark.fault(9, "Segment hangs, drips, resets and cuts its answers short")
def test_a_batch_without_a_whole_answer_is_sent_again(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    each = scaled(2, 100)
    # a deliverer that waits in vain for one key sends nothing with another: one each
    keys = {str(number): key for number, key in enumerate(FAULTS)}
    scaled_bridge.environ["SEGMENT_WRITE_KEYS"] = ",".join(f"{a}={k}" for a, k in keys.items())
    web = scaled_bridge.start_web(DELIVER_IN_WEB="false")
    for account in keys:
        for number in range(each):
            assert ledger.record(scaled_bridge.post(event(number, account)))
    scaled_bridge.kill(web)

    segment.behave = lambda batch: FAULTS[batch.write_key]
    scaled_bridge.start_deliverer()
    longest = max(settled_after(scaled_bridge, engine, segment, a, keys[a]) for a in sorted(keys))
    assert longest < seconds(LEASE) / 2
    assert not read(engine, select(events.c.id).where(events.c.state != "pending"))

    segment.behave = lambda _: OK
    sent_before = len(segment.batches)
    settled = select(func.count()).where(events.c.state == "sent")
    wait_until(lambda: read(engine, settled)[0][0] >= len(ledger.promised), 60)
    again = [c["messageId"] for batch in segment.batches[sent_before:] for c in batch.calls]
    assert sorted(again) == sorted(ledger.promised)
    seen(f"{len(FAULTS)} ways, at most {longest:.1f} s a request; {ledger.summary(segment)}")


def settled_after(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, account: str, key: str
) -> float:
    """Seconds from the account's first batch until it was given up for now."""
    postponed = select(events.c.id).where(events.c.account == account, events.c.tries > 0)
    longest = 2 * seconds(LEASE) + 10
    wait_until(lambda: read(engine, postponed), longest, bridge.log.read_text)
    times = [batch.at for batch in segment.batches if batch.write_key == key]
    assert times, key
    return time.monotonic() - times[0]
