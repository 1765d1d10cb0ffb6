"""Fault 8: what answers in Segment's place sends us on to a page that says 200."""

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select

from app.database.tables import events
from tests.faults.conftest import engines, scaled
from tests.faults.ledger import Ledger, event, read
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply

STATUSES = ("301", "302", "303", "307", "308")


@engines("sqlite")
@pytest.mark.fault(8, "301, 302, 303, 307, 308 to a page that answers 200")
def test_a_page_with_status_200_is_not_segment(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    def send_on(batch: Batch) -> Reply:
        return Reply(int(batch.write_key), headers={"Location": f"{segment.url}/welcome"})

    segment.behave = send_on
    scaled_bridge.environ["SEGMENT_WRITE_KEYS"] = ",".join(f"{one}={one}" for one in STATUSES)
    web = scaled_bridge.start_web()
    for status in STATUSES:
        for number in range(scaled(3, 200)):
            assert ledger.record(scaled_bridge.post(event(number, account=status)))
    wait_for_log(scaled_bridge, [f"HTTP {status}: check SEGMENT_HOST" for status in STATUSES])
    scaled_bridge.kill(web)

    visits = list(segment.visits)
    assert set(visits) == {"POST /v1/batch"}
    assert segment.calls == []
    tries = select(events.c.state, events.c.tries, func.count()).group_by(
        events.c.state, events.c.tries
    )
    assert [tuple(row) for row in read(engine, tries)] == [("pending", 0, len(ledger.promised))]

    # mended, and started again
    segment.behave = lambda _: OK
    scaled_bridge.start_both()
    ledger.wait_for_all(segment, seconds=40)
    assert ledger.repeats(segment) == 0
    seen(f"{len(visits)} redirects, 0 followed; {ledger.summary(segment)} once it was mended")


def wait_for_log(bridge: BridgeProcess, texts: list[str]) -> None:
    for text in texts:
        bridge.wait_for_log(text)
