"""Fault 33: the web processes die while Segment posts, and what was not answered comes again in
other batches."""

from collections.abc import Callable

import psutil
import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.faults.conftest import scaled
from tests.faults.ledger import read
from tests.faults.people import Promises, Stream, assert_kept
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import wait_until_settled
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.waiting import wait_until

KILLS = scaled(2, 100)

BETWEEN = 5
"""Batches that are answered from one kill to the next, at the least."""


@pytest.mark.fault(33, "SIGKILL of the web processes in turn; Segment sends again in other batches")
def test_what_segment_sends_again_otherwise_is_kept_once_and_in_order(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    drip.limits["requests"] = 1_000_000
    to_drip.environ["DRIP_REQUESTS_PER_HOUR"] = "1000000"
    web = to_drip.start_web(DELIVER_IN_WEB="false")
    to_drip.start_deliverer()
    promises = Promises()
    with Stream(to_drip.base, promises):
        for kill in range(KILLS):
            enough = promises.answers[200] + BETWEEN
            wait_until(lambda: promises.answers[200] >= enough)  # noqa: B023
            if kill % 2:
                to_drip.kill(web)
                kept = {row.message_id for row in read(engine, select(events.c.message_id))}
                assert promises.ids <= kept
                web = to_drip.start_web(DELIVER_IN_WEB="false")
            else:
                for worker in psutil.Process(web.pid).children():
                    worker.kill()
    wait_until_settled(engine, 60)
    assert promises.answers.keys() - {200}  # some came again
    assert assert_kept(drip, promises.actions) == set()
    assert drip.refused_by_limit == []
    seen(
        f"{KILLS} kills, {promises.answers[200]} batches answered, "
        f"{promises.answers.total() - promises.answers[200]} not, {len(promises.ids)} calls of "
        f"{len(promises.actions)} people, 0 missing, 0 twice, 0 out of order"
    )
