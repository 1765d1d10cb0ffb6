"""Many puts, one commit: requests that wait at the same time share one sync to disk."""

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue

from sqlalchemy.exc import SQLAlchemyError

from app.errors import CannotKeep, CannotStart
from app.outbox.engine import describe
from app.outbox.schema import make_ready
from app.outbox.store import Arrival, Store
from app.turns import held_lock

LARGEST_GROUP = 200

LONGEST_WAIT = 8.0
"""Seconds a caller waits for its commit, longer than a database that still answers makes it."""

PROBE_WAIT = 1.0
"""The same while commits fail, for one caller at a time; the others are told at once. Or those that
wait for a thread, behind callers that wait in vain, would be answered much later than either."""


class _Waiting:
    """A caller and what it waits for. A `Future` would do, and takes as long as the insert."""

    def __init__(self, arrival: Arrival) -> None:
        self.arrival = arrival
        self.given_up = False
        self._is_new: bool | CannotKeep = False
        self._untold = held_lock()

    def tell(self, is_new: bool | CannotKeep) -> None:
        """Called by the writer, once."""
        self._is_new = is_new
        self._untold.release()

    def wait(self, longest: float) -> bool:
        """Raises `CannotKeep`, and `TimeoutError` where nothing was told by then."""
        if not self._untold.acquire(timeout=longest):
            self.given_up = True
            raise TimeoutError
        if isinstance(self._is_new, CannotKeep):
            raise self._is_new
        return self._is_new


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
        waiting = _Waiting(arrival)
        self._queue.put(waiting)
        self._ensure_writer()
        try:
            return waiting.wait(longest)
        except TimeoutError:
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
        return [waiting for waiting in group if not waiting.given_up]


def _tell(group: list[_Waiting], new: set[str]) -> None:
    for waiting in group:
        message_id = waiting.arrival.message_id
        waiting.tell(message_id in new)
        new.discard(message_id)  # a copy in the same group is a duplicate


def _fail(group: list[_Waiting], error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        reason = describe(error)
    else:
        reason = str(error) if isinstance(error, CannotStart) else type(error).__name__
    for waiting in group:
        waiting.tell(CannotKeep(reason))
    return reason
