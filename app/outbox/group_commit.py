"""Many puts, one commit: requests that wait at the same time share one sync to disk."""

import threading
from collections import deque
from collections.abc import Sequence

from sqlalchemy.exc import SQLAlchemyError

from app.concurrency import THREADS, Concurrency
from app.database.engine import describe, is_of_content, sleeping_by
from app.database.schema import make_ready
from app.errors import ConfigError, ContentRejected, OutboxUnavailable
from app.outbox.messages import Message
from app.outbox.quarantine import Quarantine
from app.outbox.store import Store

LARGEST_GROUP = 200

LONGEST_WAIT = 8.0
"""Seconds a caller waits for its commit, longer than a database that still answers makes it."""

PROBE_WAIT = 1.0
"""The same while commits fail, for one caller at a time; the others are told at once."""


class _Waiting:
    """A caller, and what it waits for."""

    def __init__(self, message: Message, concurrency: Concurrency) -> None:
        self.message = message
        self.given_up = False
        self._is_new: bool | OutboxUnavailable = False
        self._told = concurrency.make_event()

    def tell(self, is_new: bool | OutboxUnavailable) -> None:
        """Called by the writer, once."""
        self._is_new = is_new
        self._told.set()

    def wait(self, longest: float) -> bool:
        """Raises `OutboxUnavailable`, and `TimeoutError` where nothing was told by then."""
        if not self._told.wait(longest):
            self.given_up = True
            raise TimeoutError
        if isinstance(self._is_new, OutboxUnavailable):
            raise self._is_new
        return self._is_new


class GroupCommit:
    """Puts messages through one writer, started by the first put: after any fork."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.quarantine = Quarantine()
        self._queue: deque[_Waiting] = deque()
        self._trouble: str | None = None
        """Why nothing can be kept, from the first failure to the next commit."""
        self._is_ready = False
        """Whether the database has this version's schema."""
        self._writer_started = threading.Lock()
        self._probe = threading.Lock()
        self.use(THREADS)

    def use(self, concurrency: Concurrency) -> None:
        """Say how callers and the writer wait, before the first put."""
        self._concurrency = concurrency
        self._store = Store(
            sleeping_by(self._store.engine, concurrency.sleep), self._store.destination
        )
        self._somebody_waits = concurrency.make_event()

    @property
    def trouble(self) -> str | None:
        """Why the latest put was not kept; None if it was. Not for strangers."""
        return self._trouble

    @property
    def destination(self) -> str:
        """Where the messages go."""
        return self._store.destination

    def is_kept(self) -> bool:
        """Whether the latest put was kept."""
        return self._trouble is None

    def close(self) -> None:
        """Let go of the database."""
        self._store.engine.dispose()

    def put(self, message: Message) -> bool:
        """Keep it: on disk on return. False if it was kept before.

        Raises `OutboxUnavailable`, or `ContentRejected` if no other moment is better. The commit
        may yet be under way when the wait runs out: sent again, it will be a duplicate.
        """
        if message.payload is None:
            self.quarantine.take(message.raw)
        trouble = self._trouble
        if trouble is None:
            return self._put(message, LONGEST_WAIT)
        if not self._probe.acquire(blocking=False):
            raise OutboxUnavailable(trouble)
        try:
            return self._put(message, PROBE_WAIT)
        finally:
            self._probe.release()

    def _put(self, message: Message, longest: float) -> bool:
        waiting = _Waiting(message, self._concurrency)
        self._queue.append(waiting)
        self._somebody_waits.set()
        if self._writer_started.acquire(blocking=False):
            try:
                self._concurrency.start(self._write)
            except RuntimeError:  # too many threads; the next caller finds perhaps fewer
                self._writer_started.release()
                raise OutboxUnavailable("no thread can be started") from None
        try:
            return waiting.wait(longest)
        except TimeoutError:
            self._trouble = f"no commit within {longest:g} s"
            raise OutboxUnavailable(self._trouble) from None

    def _write(self) -> None:
        while True:
            self._somebody_waits.wait()
            self._somebody_waits.clear()
            while group := self._next_group():
                self._keep_all(group)

    def _next_group(self) -> list[_Waiting]:
        """All that wait now, but for those whose caller has given up."""
        group = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST_GROUP))]
        return [waiting for waiting in group if not waiting.given_up]

    def _keep_all(self, group: Sequence[_Waiting]) -> None:
        """If the database refuses one for what is in it, halve the group until that stands alone:
        nobody's content costs the others their commit."""
        kept = self._keep([waiting.message for waiting in group])
        if isinstance(kept, ContentRejected) and len(group) > 1:
            middle = len(group) // 2
            self._keep_all(group[:middle])
            self._keep_all(group[middle:])
        else:
            _tell(group, kept)

    def _keep(self, messages: Sequence[Message]) -> set[str] | OutboxUnavailable:
        """The message ids that are new, or why none could be kept."""
        if self._is_ready and self._trouble is None:
            return self._commit(messages)
        # a database in trouble may hang, and even an answer that says so must not wait for it
        kept: set[str] | OutboxUnavailable = self._concurrency.call_apart(
            lambda: self._commit(messages)
        )
        return kept

    def _commit(self, messages: Sequence[Message]) -> set[str] | OutboxUnavailable:
        try:
            if not self._is_ready:
                make_ready(self._store.engine)
                self._is_ready = True
            new = self._store.put(messages)
        except Exception as error:  # noqa: BLE001 - whoever waits has to be told
            if is_of_content(error) and not _is_quarantined(messages):
                return ContentRejected(_describe(error))
            self._is_ready = False  # it may be another database when it is back
            self._trouble = _describe(error)
            return OutboxUnavailable(self._trouble)
        self._trouble = None
        return new


def _tell(group: Sequence[_Waiting], kept: set[str] | OutboxUnavailable) -> None:
    for waiting in group:
        if isinstance(kept, OutboxUnavailable):
            waiting.tell(kept)
        else:
            message_id = waiting.message.message_id
            waiting.tell(message_id in kept)
            kept.discard(message_id)  # a copy in the same group is a duplicate


def _is_quarantined(messages: Sequence[Message]) -> bool:
    """One alone, as it came: of such the database has nothing to refuse unless something is wrong
    with all of them."""
    return [message.payload for message in messages] == [None]


def _describe(error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        return describe(error)
    return str(error) if isinstance(error, ConfigError) else type(error).__name__
