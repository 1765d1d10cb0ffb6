"""Count the stats once for all callers, and do not let them wait for a database that hangs.

A count reads an index from end to end. That is cheap, but not free, and anyone may ask for it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe
from app.errors import ConfigError
from app.logs import error_location, get_logger
from app.monitoring.stats import Stats

log = get_logger(__name__)

PATIENCE = 6.0
"""Seconds that a caller waits: longer than a database that still answers takes
(`BUSY_SECONDS` in app/database/engine.py)."""

SHARE = 20
"""Stats are kept for this many times as long as counting took, so counting takes 5 % of a
processor."""

LONGEST_KEPT = 15.0
"""Seconds that stats are kept at most. A deliverer reports every 5 seconds and counts as gone after
30 (`deliverers.py`), so in older stats it would seem gone while it runs."""


class StatsUnavailable(Exception):
    """The outbox cannot be read. The message has what to do, and anyone may read it."""


class StatsCache:
    """The latest stats, for any number of threads.

    One thread counts. It starts with the first call, so a process may fork before, and never ends:
    under gunicorn's gevent worker, a thread that ends leaks what its database driver waited with.
    """

    def __init__(self, take: Callable[[], Stats]) -> None:
        """`take` may raise `ConfigError` and `SQLAlchemyError`."""
        self._take = take
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._kept_until = 0.0
        self._taking: Future[Stats] | None = None
        self._requests: SimpleQueue[Future[Stats]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._last: tuple[Stats | None, float] = (None, 0.0)
        """The stats that were counted last, and when, by the monotonic clock."""

    def recent(self) -> Stats:
        """The stats that were counted last, for pages: they need not wait while those are less than
        `LONGEST_KEPT` old. They are counted anew for the next caller. Raises `StatsUnavailable`."""
        last = self.peek()
        return self.latest() if last is None else last

    def peek(self) -> Stats | None:
        """The same without ever waiting; None if there are none."""
        self._join()
        last, counted_at = self._last
        return last if time.monotonic() - counted_at < LONGEST_KEPT else None

    def forget(self) -> None:
        """Count anew for the next caller: an operator has changed something."""
        self._kept_until = 0.0
        self._last = (None, 0.0)

    def latest(self) -> Stats:
        """The stats, counted anew if they are no longer current. Raises `StatsUnavailable` after
        `PATIENCE` seconds at most."""
        taking, asked_at = self._join()
        try:
            return taking.result(timeout=max(0.0, asked_at + PATIENCE - time.monotonic()))
        except TimeoutError:
            raise StatsUnavailable(
                "The database does not answer: see whether it is locked or its server overloaded."
            ) from None

    def _join(self) -> tuple[Future[Stats], float]:
        with self._lock:
            if self._taking is None or self._is_over(self._taking):
                self._taking = Future()
                self._asked_at = time.monotonic()
                self._requests.put(self._taking)
            self._ensure_thread(self._taking)
            return self._taking, self._asked_at

    def _ensure_thread(self, taking: Future[Stats]) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="stats", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many threads on this machine; the next call tries again
            self._requests.get_nowait()
            taking.set_exception(_to_unavailable(error))
        else:
            self._thread = thread

    def _is_over(self, taking: Future[Stats]) -> bool:
        """Whether to count anew. A failure is not kept, because the database may be back."""
        return taking.done() and time.monotonic() > self._kept_until

    def _run(self) -> None:
        while True:
            self._count(self._requests.get())

    def _count(self, taking: Future[Stats]) -> None:
        began = time.monotonic()
        try:
            stats = self._take()
        except Exception as error:  # noqa: BLE001 - each caller needs an answer
            taking.set_exception(_to_unavailable(error))
        else:
            took = time.monotonic() - began
            self._kept_until = began + took + min(SHARE * took, LONGEST_KEPT)
            self._last = (stats, time.monotonic())
            taking.set_result(stats)


def _to_unavailable(error: Exception) -> StatsUnavailable:
    """The error for callers, who may be anyone. A driver's own error names hosts and users, so it
    only goes to the log."""
    if isinstance(error, ConfigError):
        return StatsUnavailable(str(error))
    if isinstance(error, SQLAlchemyError):
        log.warning("outbox out of reach, not counted", reason=describe(error))
        return StatsUnavailable(
            "The database cannot be read: see whether it runs and DATABASE_URL is right. "
            "The log has its words."
        )
    log.error("fault of the bridge, outbox not counted", reason=error_location(error))
    return StatsUnavailable(
        "The outbox could not be counted, by a fault of the bridge: see its log."
    )
