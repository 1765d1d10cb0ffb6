"""Many puts, one commit: requests that wait at the same time share one sync to disk."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from app.errors import CannotKeep, CannotStart
from app.outbox.engine import describe
from app.outbox.schema import make_ready
from app.outbox.store import Arrival, Store

LARGEST_GROUP = 200

LONGEST_WAIT = 8.0
"""Seconds a caller waits for its commit, longer than a database that still answers makes it."""

PROBE_WAIT = 1.0
"""The same while commits fail, for one caller at a time; the others are told at once. Or those that
wait for a thread, behind callers that wait in vain, would be answered much later than either."""


class _Waiting(NamedTuple):
    arrival: Arrival
    is_new: Future[bool]


class GroupCommit:
    """Puts arrivals through one writer thread, started by the first put: after any fork."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queue: SimpleQueue[_Waiting] = SimpleQueue()
        self._start = threading.Lock()
        self._writer: threading.Thread | None = None
        self._trouble: str | None = None
        """Why nothing can be kept, from the first failure to the next commit."""
        self._probe = threading.Lock()

    def put(self, arrival: Arrival) -> bool:
        """Keep it: on disk on return. False if it was kept before.

        Raises `CannotKeep`. Its commit may yet have been under way when the wait ran out; sent
        again, it will be found to be a duplicate.
        """
        trouble = self._trouble
        if trouble is None:
            return self._put(arrival, LONGEST_WAIT)
        if not self._probe.acquire(blocking=False):
            raise CannotKeep(trouble)
        try:
            return self._put(arrival, PROBE_WAIT)
        finally:
            self._probe.release()

    def _put(self, arrival: Arrival, longest: float) -> bool:
        waiting = _Waiting(arrival, Future())
        self._queue.put(waiting)
        self._ensure_writer()
        try:
            return waiting.is_new.result(timeout=longest)
        except TimeoutError:
            waiting.is_new.cancel()
            self._trouble = f"no commit within {longest:g} s"
            raise CannotKeep(self._trouble) from None

    def _ensure_writer(self) -> None:
        if self._writer is None:
            with self._start:
                if self._writer is None:
                    self._writer = threading.Thread(target=self._write, name="writer", daemon=True)
                    self._writer.start()

    def _write(self) -> None:
        ready = False
        while True:
            group = self._next_group()
            try:
                if not ready:
                    make_ready(self._store.engine)
                    ready = True
                new = self._store.put([waiting.arrival for waiting in group])
            except Exception as error:  # noqa: BLE001 - whoever waits has to be told
                self._trouble = _fail(group, error)
            else:
                self._trouble = None
                _tell(group, new)

    def _next_group(self) -> list[_Waiting]:
        """All that wait now, but for those whose caller has given up."""
        group = [self._queue.get()]
        with suppress(Empty):
            while len(group) < LARGEST_GROUP:
                group.append(self._queue.get_nowait())
        return [waiting for waiting in group if waiting.is_new.set_running_or_notify_cancel()]


def _tell(group: list[_Waiting], new: set[str]) -> None:
    for arrival, is_new in group:
        is_new.set_result(arrival.message_id in new)
        new.discard(arrival.message_id)  # a copy in the same group is a duplicate


def _fail(group: list[_Waiting], error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        reason = describe(error)
    else:
        reason = str(error) if isinstance(error, CannotStart) else type(error).__name__
    for _, is_new in group:
        is_new.set_exception(CannotKeep(reason))
    return reason
