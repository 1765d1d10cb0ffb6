"""Put many messages with one commit, so that requests that wait together share one sync to disk."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence

from sqlalchemy.exc import SQLAlchemyError

from app.concurrency import THREADS, Concurrency
from app.database.engine import describe, is_of_content, sleeping_by
from app.database.schema import make_ready
from app.errors import ConfigError, ContentRejected, OutboxUnavailable
from app.outbox.messages import Message
from app.outbox.quarantine import Quarantine
from app.outbox.store import Store

LARGEST_GROUP = 200
"""Messages of one commit, unless one caller has more: those are kept together, and alone."""

LARGEST_QUICK = 2 << 20
"""Bytes of a commit that holds up other answers for some milliseconds only."""

SHORTEST_SLEEP = 0.0001
"""Seconds. After a sleep of 0, gevent looks for nothing that came from outside until it has gone on
with 50 greenlets."""

LONGEST_WAIT = 8.0
"""Seconds that a caller waits for its commit: longer than a database that still answers takes."""

PROBE_WAIT = 1.0
"""The same while commits fail. One caller at a time waits, the others get an error at once."""


class _Waiting:
    """A caller that waits for its messages to be kept."""

    def __init__(self, messages: Sequence[Message], concurrency: Concurrency) -> None:
        self.messages = messages
        self.given_up = False
        self._result: set[str] | OutboxUnavailable = set()
        self._done = concurrency.make_event()

    def resolve(self, result: set[str] | OutboxUnavailable) -> None:
        """Let the caller go on. The writer calls it once: with the message ids that are new, or why
        none could be kept."""
        self._result = result
        self._done.set()

    def wait(self, longest: float) -> set[str]:
        """The message ids that are new. Raises `OutboxUnavailable`, and `TimeoutError` after
        `longest` seconds."""
        if not self._done.wait(longest):
            self.given_up = True
            raise TimeoutError
        if isinstance(self._result, OutboxUnavailable):
            raise self._result
        return self._result


class GroupCommit:
    """Put messages through one writer, which the first put starts: a process may fork before."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.quarantine = Quarantine()
        self._queue: deque[_Waiting] = deque()
        self._trouble: str | None = None
        """Why nothing can be kept, from the first failure until a commit succeeds."""
        self._is_ready = False
        """Whether the database has this version's schema."""
        self._writer_started = threading.Lock()
        self._probe = threading.Lock()
        self.use(THREADS)

    def use(self, concurrency: Concurrency) -> None:
        """Set how callers and the writer wait: with threads or with greenlets. To be called before
        the first put."""
        self._concurrency = concurrency
        self._store = Store(
            sleeping_by(self._store.engine, concurrency.sleep), self._store.destination
        )
        self._has_work = concurrency.make_event()

    @property
    def trouble(self) -> str | None:
        """Why the latest put was not kept; None if it was. It may name hosts and users, so it is
        not shown to callers."""
        return self._trouble

    @property
    def destination(self) -> str:
        """The name of the destination of the messages."""
        return self._store.destination

    def is_kept(self) -> bool:
        """Whether the latest put was kept."""
        return self._trouble is None

    def close(self) -> None:
        """Close the connections to the database."""
        self._store.engine.dispose()

    def let_others_run(self) -> None:
        """Let other callers go on, in the middle of work that takes long."""
        self._concurrency.sleep(SHORTEST_SLEEP)

    def put(self, message: Message) -> bool:
        """Keep a message: on return it is on disk. Returns False if it was kept before.

        Raises as `put_all` does.
        """
        return message.message_id in self.put_all((message,))

    def put_all(self, messages: Sequence[Message]) -> set[str]:
        """Keep messages, all or none: on return they are on disk. Returns the ids of those that
        were not kept before, with those of their follow-ups.

        Raises `OutboxUnavailable`, or `ContentRejected` if the database will never take the content
        of one of them. After a time-out the commit may still succeed: the source sends again, and
        that is then a duplicate. While the quarantine is full, messages for it raise
        `OutboxUnavailable` too, but the others are kept.
        """
        if not messages:
            return set()
        unreadable = [message.raw for message in messages if message.payload is None]
        if unreadable and not self.quarantine.take(unreadable):
            readable = [message for message in messages if message.payload is not None]
            self.put_all(readable)
            raise OutboxUnavailable("quarantine is full")
        trouble = self._trouble
        if trouble is None:
            return self._put(messages, LONGEST_WAIT)
        if not self._probe.acquire(blocking=False):
            raise OutboxUnavailable(trouble)
        try:
            return self._put(messages, PROBE_WAIT)
        finally:
            self._probe.release()

    def _put(self, messages: Sequence[Message], longest: float) -> set[str]:
        waiting = _Waiting(messages, self._concurrency)
        self._queue.append(waiting)
        self._has_work.set()
        if self._writer_started.acquire(blocking=False):
            try:
                self._concurrency.start(self._write)
            except RuntimeError:  # too many threads; the next caller tries again
                self._writer_started.release()
                raise OutboxUnavailable("no thread can be started") from None
        try:
            return waiting.wait(longest)
        except TimeoutError:
            self._trouble = f"no commit within {longest:g} s"
            raise OutboxUnavailable(self._trouble) from None

    def _write(self) -> None:
        while True:
            self._has_work.wait()
            self._has_work.clear()
            while group := self._next_group():
                self._keep_all(group)

    def _next_group(self) -> list[_Waiting]:
        """Those that have waited longest and have not given up: with `LARGEST_GROUP` messages
        together, or one caller with more."""
        group: list[_Waiting] = []
        room = LARGEST_GROUP
        while self._queue:
            if self._queue[0].given_up:
                self._queue.popleft()
                continue
            room -= len(self._queue[0].messages)
            if room < 0 and group:
                break
            group.append(self._queue.popleft())
        return group

    def _keep_all(self, group: Sequence[_Waiting]) -> None:
        """Keep a group. If the database refuses the content of one message, halve the group until
        its caller is alone, so that the messages of the others are kept."""
        kept = self._keep([message for waiting in group for message in waiting.messages])
        if isinstance(kept, ContentRejected) and len(group) > 1:
            middle = len(group) // 2
            self._keep_all(group[:middle])
            self._keep_all(group[middle:])
        else:
            _resolve(group, kept)

    def _keep(self, messages: Sequence[Message]) -> set[str] | OutboxUnavailable:
        """Returns the message ids that are new, or why none could be kept."""
        if self._is_ready and self._trouble is None and _is_quick(messages):
            return self._commit(messages)
        # a database in trouble may hang, and a large commit takes long: in a thread of its own, it
        # does not hold up other answers
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
        except Exception as error:  # noqa: BLE001 - each caller needs an answer
            if is_of_content(error) and not _is_quarantined(messages):
                return ContentRejected(_describe(error))
            self._is_ready = False  # another database may answer next, after a fail-over
            self._trouble = _describe(error)
            return OutboxUnavailable(self._trouble)
        self._trouble = None
        return new


def _is_quick(messages: Sequence[Message]) -> bool:
    """Whether a commit of these takes some milliseconds only."""
    if len(messages) > LARGEST_GROUP:
        return False
    return sum([len(message.raw) for message in messages]) <= LARGEST_QUICK


def _resolve(group: Sequence[_Waiting], kept: set[str] | OutboxUnavailable) -> None:
    for waiting in group:
        if isinstance(kept, OutboxUnavailable):
            waiting.resolve(kept)
        else:
            new = kept.intersection(_ids(waiting.messages))
            waiting.resolve(new)
            kept -= new  # a copy in the same group is a duplicate


def _ids(messages: Sequence[Message]) -> Iterator[str]:
    for message in messages:
        for each in message.together:
            yield each.message_id


def _is_quarantined(messages: Sequence[Message]) -> bool:
    """Whether it is a single quarantined message. It is kept as bytes, so a refusal means that
    something is wrong with the database, not with the content."""
    return [message.payload for message in messages] == [None]


def _describe(error: Exception) -> str:
    if isinstance(error, SQLAlchemyError):
        return describe(error)
    return str(error) if isinstance(error, ConfigError) else type(error).__name__
