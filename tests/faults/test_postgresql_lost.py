"""Fault 10: PostgreSQL is killed, stopped, cut off, and cut off at the very COMMIT."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.engine import URL

from app.database.tables import events
from tests.faults.conftest import FULL, scaled
from tests.faults.ledger import Ledger, Load, event, read
from tests.faults.own_postgres import Postgres
from tests.faults.proxy import Cut, Proxy
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.waiting import wait_until

LONGEST_ANSWER = 10.0

CUTS: tuple[Cut, ...] = ("before", "after")


@pytest.fixture
def postgres_url(mortal_postgres_url: str) -> str:
    return mortal_postgres_url


on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@on_postgresql
@pytest.mark.fault(10, "PostgreSQL killed or stopped at once, and started again")
def test_a_database_that_dies_costs_no_event(
    scaled_bridge: BridgeProcess,
    own_postgres: Postgres,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    ways = [own_postgres.stop_at_once, own_postgres.kill] * scaled(0, 10)
    own_postgres.kill()
    scaled_bridge.start_both()  # which needs no database for it
    with Load(scaled_bridge.webhook, ledger):
        for die in ways:
            ledger.wait_for_more(429)
            own_postgres.start()
            ledger.wait_for_more(200)
            die()
        ledger.wait_for_more(429)
        own_postgres.start()
        ledger.wait_for_more(200)
    assert_told_to_send_again(ledger)
    ledger.wait_for_all(segment, seconds=60)
    seen(f"{1 + len(ways)} deaths: {answers(ledger)}; {ledger.summary(segment)}")


@on_postgresql
@pytest.mark.fault(10, "PostgreSQL stops answering, with its connections up")
def test_a_database_that_stalls_is_not_waited_for(
    scaled_bridge: BridgeProcess,
    own_postgres: Postgres,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    stall = 25.0 if FULL else 1.8
    scaled_bridge.start_both()
    with Load(scaled_bridge.webhook, ledger, threads=scaled(4, 40)):
        ledger.wait_for_more(200)
        with own_postgres.stalled():
            time.sleep(stall)
        ledger.wait_for_more(200)
    assert_told_to_send_again(ledger)
    ledger.wait_for_all(segment, seconds=60)
    seen(f"{stall:g} s: {answers(ledger)}; {ledger.summary(segment)}")


@on_postgresql
@pytest.mark.fault(10, "all connections to PostgreSQL cut under load")
def test_connections_that_are_cut_cost_no_event(
    scaled_bridge: BridgeProcess,
    own_postgres: Postgres,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    cut = turns = 0
    scaled_bridge.start_both()
    with Load(scaled_bridge.webhook, ledger):
        # a connection that is cut while nobody uses it costs nobody an answer
        while turns < scaled(8, 100) or (turns < 1_000 and not ledger.answers[429]):
            ledger.wait_for_more(200)
            cut += own_postgres.cut_all()
            turns += 1
    assert ledger.record(scaled_bridge.post(event(-1)))
    assert cut
    assert_told_to_send_again(ledger)
    ledger.wait_for_all(segment, seconds=60)
    seen(f"{cut} connections cut: {answers(ledger)}; {ledger.summary(segment)}")


@on_postgresql
@pytest.mark.fault(10, "the connection cut exactly at COMMIT, before and after it got through")
def test_an_event_with_a_cut_commit_is_one_row_in_the_end(
    scaled_bridge: BridgeProcess,
    own_postgres: Postgres,
    database_url: URL,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    armed: list[Cut] = []

    def at_commit(data: bytes) -> Cut:
        return armed.pop() if armed and b"COMMIT\0" in data else None

    count = select(func.count()).select_from(events)
    times = scaled(6, 200)
    with Proxy(own_postgres.socket) as proxy:
        proxy.cut_at = at_commit
        url = database_url.set(
            drivername="postgresql", host="127.0.0.1", port=proxy.port, query={}
        ).render_as_string(hide_password=False)
        scaled_bridge.start_web(DATABASE_URL=url, DELIVER_IN_WEB="false")
        for number in range(times):
            how = CUTS[number % 2]
            armed.append(how)
            assert not ledger.record(scaled_bridge.post(event(number)))
            assert not armed
            kept = number + (how == "after")
            # the server may not have come to it yet
            wait_until(lambda: read(engine, count)[0][0] == kept, 5)  # noqa: B023
            again = scaled_bridge.post(event(number))
            assert ledger.record(again)
            assert again.json()["status"] == ("duplicate" if how == "after" else "accepted")
            assert read(engine, count)[0][0] == number + 1
    assert_told_to_send_again(ledger)
    scaled_bridge.start_deliverer()
    ledger.wait_for_all(segment, seconds=60)
    assert ledger.repeats(segment) == 0
    seen(f"{times} commits cut: {answers(ledger)}, {times} rows; {ledger.summary(segment)}")


@on_postgresql
@pytest.mark.fault(10, "the deliverer's connection cut at COMMIT of a claim and of a settlement")
def test_a_deliverer_with_cut_commits_sends_the_same_ids_again(
    scaled_bridge: BridgeProcess,
    own_postgres: Postgres,
    database_url: URL,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
) -> None:
    wanted = [(what, how) for what in ("claim", "settlement") for how in CUTS] * scaled(1, 3)
    cuts = len(wanted)
    batches = 0

    def at_commit(data: bytes) -> Cut:
        nonlocal batches
        if b"COMMIT\0" not in data:
            return None
        # what is committed after Segment got a batch is what became of it
        what = "claim" if batches == len(segment.batches) else "settlement"
        batches = len(segment.batches)
        return wanted.pop()[1] if wanted and wanted[-1][0] == what else None

    with Proxy(own_postgres.socket) as proxy:
        proxy.cut_at = at_commit
        url = database_url.set(
            drivername="postgresql", host="127.0.0.1", port=proxy.port, query={}
        ).render_as_string(hide_password=False)
        scaled_bridge.start_web(DELIVER_IN_WEB="false")
        scaled_bridge.start_deliverer(DATABASE_URL=url)
        with Load(scaled_bridge.webhook, ledger, threads=2, pause=0.01):
            wait_until(lambda: not wanted, scaled(20, 300), lambda: str(wanted))
        ledger.wait_for_all(segment, seconds=60)
        unsettled = select(func.count()).where(events.c.state != "sent")
        wait_until(lambda: not read(engine, unsettled)[0][0], scaled(80, 360))
    assert ledger.repeats(segment)
    seen(f"{cuts} commits cut: {ledger.summary(segment)}")


def assert_told_to_send_again(ledger: Ledger) -> None:
    assert ledger.answers.keys() == {200, 429}
    assert ledger.slowest < LONGEST_ANSWER


def answers(ledger: Ledger) -> str:
    return f"{ledger.answers[429]:,} times 429, none slower than {ledger.slowest:.1f} s"
