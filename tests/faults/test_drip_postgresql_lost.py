"""Fault 37: PostgreSQL is killed while Segment posts and Drip is at work."""

from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from tests.faults.conftest import at_this_scale, scaled
from tests.faults.own_postgres import Postgres
from tests.faults.people import Promises, Stream, assert_kept, done_by
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import wait_until_settled
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.waiting import wait_until

DEATHS = scaled(1, 20)


@pytest.fixture
def postgres_url(mortal_postgres_url: str) -> str:
    return mortal_postgres_url


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.fault(37, "PostgreSQL killed under load, and started again")
def test_a_database_that_dies_costs_no_call_and_no_order(
    to_drip: BridgeProcess,
    own_postgres: Postgres,
    engine: Engine,
    drip: FakeDripRest,
    seen: Callable[[str], None],
) -> None:
    drip.limits["requests"] = 1_000_000
    to_drip.environ["DRIP_REQUESTS_PER_HOUR"] = "1000000"
    at_this_scale(to_drip)
    to_drip.start_web(DELIVER_IN_WEB="false")
    to_drip.start_deliverer()
    promises = Promises()
    with Stream(to_drip.base, promises):
        for _ in range(DEATHS):
            wait_for_more(promises, 200)
            visits = len(drip.visits)
            wait_until(lambda: len(drip.visits) > visits + 5, 40)  # noqa: B023
            own_postgres.kill()
            wait_for_more(promises, 503)
            own_postgres.start()
        wait_for_more(promises, 200)
    wait_until_settled(engine, 100)
    assert promises.answers.keys() == {200, 503}
    actions = {action for actions in promises.actions.values() for action in actions}
    twice = assert_kept(drip, promises.actions, twice=actions)
    # of each death one request was in hand: a batch, if the deliverer fell behind
    assert len({first_visit(drip, action) for action in twice}) <= DEATHS
    assert max(Counter(a for each in done_by(drip).values() for a in each).values()) <= 2
    assert drip.refused_by_limit == []
    seen(
        f"{DEATHS} deaths: {promises.answers[503]} times 503, {len(promises.ids)} calls promised, "
        f"0 missing, 0 out of order, {len(twice)} events twice"
    )


def first_visit(drip: FakeDripRest, action: str) -> int:
    """The place of the first request that had this event."""
    return next(
        place
        for place, visit in enumerate(drip.visits)
        if any(item.get("action") == action for item in visit.items)
    )


def wait_for_more(promises: Promises, status: int) -> None:
    """Until three more answers of this kind came."""
    wanted = promises.answers[status] + 3
    wait_until(lambda: promises.answers[status] >= wanted, 60, lambda: str(promises.answers))
