"""Fault 31: a deliverer to Drip sleeps past its turn, and wakes when another has sent its calls.
Fault 32: it is told to end."""

import signal
import socket
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, text

from app.outbox.store import Store
from tests.faults.conftest import scaled
from tests.faults.deliverers import another_to_drip, full_queue, leases, stop
from tests.faults.people import assert_kept, keep, lives
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import shorten_lease, wait_until_settled
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import FakeDripRest, Visit
from tests.support.waiting import wait_until

PEOPLE, EVENTS = 6, 3

TOO_LATE = "events were no longer ours: lease overrun"


def is_event(visit: Visit) -> bool:
    return visit.call is not None and visit.call.kind == "event"


@pytest.mark.fault(31, "SIGSTOP of a deliverer past its turn, SIGCONT while another is sending")
def test_who_wakes_too_late_neither_settles_nor_sends(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    shorten_lease(to_drip, 1.5)
    to_drip.environ["LOG_LEVEL"] = "debug"  # or lines that repeat are held back
    calls, promised = lives(range(PEOPLE), EVENTS)
    keep(Store(engine, "drip"), calls)
    in_hand: list[Visit] = []

    def put_to_sleep_and_wake(visit: Visit) -> None:
        if not is_event(visit):
            return
        if not in_hand:
            stop(sleeper, engine)
            in_hand.append(visit)
            return
        if visit.body == in_hand[0].body:
            sleeper.send_signal(signal.SIGCONT)
            to_drip.wait_for_log(TOO_LATE)

    drip.behave = put_to_sleep_and_wake
    sleeper = to_drip.start_deliverer()
    wait_until(lambda: in_hand)
    with another_to_drip(engine, drip):
        wait_until_settled(engine, 40)
    more, done = lives(["new"], EVENTS)
    keep(Store(engine, "drip"), more)  # for the one who slept
    wait_until_settled(engine, 40)
    sleeper.send_signal(signal.SIGTERM)
    assert sleeper.wait(timeout=20) == 0
    actions = {in_hand[0].items[0]["action"]}
    assert assert_kept(drip, promised | done, twice=actions) == actions
    assert drip.refused_by_limit == []
    seen(f"{len(promised)} people, 1 settlement refused, 1 event twice, 0 out of order, 0 at once")


@pytest.mark.fault(31, "SIGSTOP of a deliverer before its POST, SIGCONT when its calls were sent")
def test_who_wakes_too_late_does_not_post(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    to_drip.app = "tests.faults.hurried:hurried_but_slow_to_connect()"  # at both scales
    calls, promised = lives(range(PEOPLE), EVENTS)
    keep(Store(engine, "drip"), calls)
    with full_queue() as (nowhere, listener):
        sleeper = to_drip.start_deliverer(DRIP_API_URL=nowhere)
        wait_until(lambda: leases(engine))
        time.sleep(0.3)  # to begin with the connection
        stop(sleeper, engine)
        with another_to_drip(engine, drip):
            wait_until_settled(engine, 40)
        callers = let_in(listener)
        sleeper.send_signal(signal.SIGCONT)
        time.sleep(1)
        posts = [data for caller in callers if (data := read_all(caller))]
    assert posts == []
    assert assert_kept(drip, promised) == set()
    seen(f"{len(promised)} people, {len(callers)} connections made meanwhile, 0 posts over them")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.fault(31, "SIGSTOP of a deliverer in the middle of a transaction")
def test_who_sleeps_with_a_lock_does_not_hold_up_others_for_long(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    to_drip.app = "tests.faults.hurried:hurried()"  # at both scales
    calls, promised = lives(range(PEOPLE), EVENTS)
    keep(Store(engine, "drip"), calls)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with engine.begin() as connection:
        connection.execute(text("LOCK TABLE buckets IN EXCLUSIVE MODE"))
        sleeper = to_drip.start_deliverer()
        wait_until(lambda: connection.execute(waiting).scalar())
        stop(sleeper, engine)
    with another_to_drip(engine, drip):
        wait_until_settled(engine, 40)
    assert assert_kept(drip, promised) == set()
    sleeper.send_signal(signal.SIGCONT)
    more, done = lives(["new"], EVENTS)
    keep(Store(engine, "drip"), more)  # for the one who slept
    wait_until_settled(engine, 40)
    assert assert_kept(drip, promised | done) == set()
    seen(f"{len(promised)} people, 0 missing, 0 twice")


def let_in(listener: socket.socket) -> list[socket.socket]:
    """Everybody in the queue, and who comes when there is room: the system asks for the sleeper,
    again and again."""
    callers = []
    listener.settimeout(4)
    try:
        while True:
            callers.append(listener.accept()[0])
    except TimeoutError:
        return callers


def read_all(caller: socket.socket) -> bytes:
    caller.setblocking(False)
    with caller:
        try:
            return caller.recv(65536)
        except BlockingIOError:
            return b""


@pytest.mark.fault(32, "SIGTERM to a deliverer while Drip is at work on its request")
def test_a_stop_lets_the_request_in_hand_be_settled(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    calls, promised = lives(range(PEOPLE), EVENTS)
    keep(Store(engine, "drip"), calls)
    drip.behave = lambda visit: Reply(hang=1.0) if is_event(visit) else None
    took = []
    for stops in range(1, scaled(2, 8) + 1):
        process = to_drip.start_deliverer()
        events_before = sum(map(is_event, drip.visits))
        wait_until(lambda: sum(map(is_event, drip.visits)) > events_before)  # noqa: B023
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
        took.append(time.monotonic() - started)
        assert not leases(engine)
        assert sum(map(is_event, drip.visits)) == stops
    drip.behave = lambda _: None
    with another_to_drip(engine, drip):
        wait_until_settled(engine, 40)
    assert assert_kept(drip, promised) == set()
    seen(f"{len(took)} stops in {max(took):.1f} s or less, 0 leases left, 0 missing, 0 twice")
