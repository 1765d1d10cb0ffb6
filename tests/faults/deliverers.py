"""What the faults of deliverers share: a short lease, events that wait, another who delivers."""

import signal
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Row, select, text
from sqlalchemy.exc import OperationalError

from app.database.tables import events
from app.delivery.worker import POLL, DeliveryWorker
from app.drip_to_segment.destination import SegmentDestination
from app.outbox.ordered import OrderedStore
from app.outbox.store import Store
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identities import Identities
from app.segment_to_drip.sending.budget import DatabaseBudget
from app.segment_to_drip.sending.delivery import DripDelivery
from tests.faults.ledger import event, read
from tests.support.bridge_process import Process
from tests.support.builders import translated
from tests.support.fake_drip_rest import ACCOUNT, TOKEN, FakeDripRest
from tests.support.fake_segment import Batch
from tests.support.waiting import wait_until

ANOTHER = "key-of-another"
"""Tells the batches of `another_deliverer` from those of a process."""

SLACK = 1.0
"""Seconds that a busy machine may take beyond what is promised."""


def put_events(store: Store, numbers: Iterable[int], account: str = "4417") -> set[str]:
    """Keep events as the webhook does. Gives their message ids."""
    return store.put([translated(event(number, account), time.time()) for number in numbers])


@contextmanager
def another_deliverer(store: Store, segment_url: str) -> Iterator[DeliveryWorker]:
    """One that is well, in a thread of this process: the others are processes that suffer."""
    delivery = DeliveryWorker(store, SegmentDestination(segment_url, ANOTHER, {}))
    thread = delivery.start()
    try:
        yield delivery
    finally:
        delivery.stop()
        thread.join()


@contextmanager
def another_to_drip(engine: Engine, drip: FakeDripRest, settle: float = 1.8) -> Iterator[None]:
    """The same for Drip."""
    budget = DatabaseBudget(engine, "drip", {"requests": 3_600, "batches": 50}, time.time)
    destination = DripDestination({}, (ACCOUNT, TOKEN), budget, drip.url)
    delivery = DripDelivery(
        OrderedStore(engine, "drip"),
        destination,
        budget,
        Identities(engine, "drip", 24 * 3600.0),
        DripOptions(default_account=ACCOUNT),
        settle,
    )
    thread = delivery.start()
    try:
        yield
    finally:
        delivery.stop()
        thread.join()


def stop(process: Process, engine: Engine) -> None:
    """SIGSTOP, but not in the middle of a write, such as one of those that prune: that would hold
    up all others on SQLite."""
    threads = Path(f"/proc/{process.pid}/task")
    while True:
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: {_state(thread) for thread in threads.iterdir()} == {"T"}, timeout=5)
        if not _is_being_written(engine):
            return
        process.send_signal(signal.SIGCONT)
        time.sleep(0.01)


def _is_being_written(engine: Engine) -> bool:
    """Whether someone holds SQLite's write lock."""
    if engine.dialect.name != "sqlite":
        return False
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        try:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError:
            return True
        connection.exec_driver_sql("ROLLBACK")
        return False


def _state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


def lease_end(engine: Engine) -> float:
    """When the one lease that is out will end, by `time.monotonic`, once there is one."""
    wait_until(lambda: bool(leases(engine)))
    (ends,) = {row.due_at for row in leases(engine)}
    return float(ends) - time.time() + time.monotonic()


def leases(engine: Engine) -> list[Row[Any]]:
    """Message id and end of each lease that is out."""
    query = select(events.c.message_id, events.c.due_at)
    return read(engine, query.where(events.c.lease.is_not(None)))


def seconds_after(lease_ended: float, batch: Batch) -> float:
    """How long after a lease's end its events came again: promised is one look at the outbox."""
    late = batch.at - lease_ended
    assert -0.01 < late < POLL + SLACK  # leases are counted by the wall clock, arrivals by another
    return late


def wait_until_sent(engine: Engine, ids: Iterable[str]) -> None:
    """Until the outbox says so of each: settled by its first try that was settled at all."""
    wait_until(lambda: states(engine, ids) == {("sent", 1, None)})


def states(engine: Engine, ids: Iterable[str]) -> set[tuple[str, int, str | None]]:
    """The different (state, tries, lease) that these events are in."""
    query = select(events.c.state, events.c.tries, events.c.lease)
    found = read(engine, query.where(events.c.message_id.in_(ids)))
    return {(row.state, row.tries, row.lease) for row in found}


@contextmanager
def locked(engine: Engine) -> Iterator[None]:
    """Nobody else writes to the outbox."""
    with engine.begin() as connection:  # which is all that SQLite needs
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
        yield


@contextmanager
def full_queue() -> Iterator[tuple[str, socket.socket]]:
    """An address where connections are neither made nor refused: who calls it waits."""
    with ExitStack() as held:
        listener = held.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        host, port = listener.getsockname()
        with suppress(TimeoutError):  # of the first for which there is no place
            while True:
                held.enter_context(socket.create_connection((host, port), timeout=0.1))
        yield f"http://{host}:{port}", listener


def assert_nothing_posted(listener: socket.socket) -> None:
    """By any that got through: there are only those that fill the queue."""
    listener.setblocking(False)
    with suppress(BlockingIOError):  # the end of the queue
        while True:
            caller, _ = listener.accept()
            caller.setblocking(False)
            with caller, pytest.raises(BlockingIOError):
                caller.recv(1)
