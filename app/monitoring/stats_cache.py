"""One look at the stats at a time, and nobody waits for a database that hangs.

A count goes through an index from end to end: cheap, but not free, and anyone may ask for it.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe
from app.errors import ConfigError
from app.logs import get_logger, where
from app.monitoring.stats import Stats

log = get_logger(__name__)

PATIENCE = 6.0
"""Seconds. Longer than a database that still answers lets one wait (app/database/engine.py)."""

SHARE = 20
"""The stats is kept for so many times as long as it took: counting takes 5 % of a processor."""

LONGEST_KEPT = 30.0
"""Seconds."""


class StatsUnavailable(Exception):
    """The outbox cannot be read; the message says what to do."""


class StatsCache:
    """The latest stats, for any number of threads. Its own starts after any fork, and stays: under
    the worker, a thread that ends leaves what its database driver waited with."""

    def __init__(self, take: Callable[[], Stats]) -> None:
        """`take` may raise `ConfigError` and `SQLAlchemyError`."""
        self._take = take
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self._kept_until = 0.0
        self._taking: Future[Stats] | None = None
        self._wanted: SimpleQueue[Future[Stats]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def latest(self) -> Stats:
        """Raises `StatsUnavailable`, at the latest after `PATIENCE` seconds."""
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
                self._wanted.put(self._taking)
            self._ensure_thread(self._taking)
            return self._taking, self._asked_at

    def _ensure_thread(self, taking: Future[Stats]) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="stats", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # too many already, on this machine; later perhaps not
            self._wanted.get_nowait()
            taking.set_exception(_to_unavailable(error))
        else:
            self._thread = thread

    def _is_over(self, taking: Future[Stats]) -> bool:
        """A failure is not kept: the next caller may find the database back."""
        return taking.done() and time.monotonic() > self._kept_until

    def _run(self) -> None:
        while True:
            self._count(self._wanted.get())

    def _count(self, taking: Future[Stats]) -> None:
        began = time.monotonic()
        try:
            stats = self._take()
        except Exception as error:  # noqa: BLE001 - whoever waits has to be told
            taking.set_exception(_to_unavailable(error))
        else:
            took = time.monotonic() - began
            self._kept_until = began + took + min(SHARE * took, LONGEST_KEPT)
            taking.set_result(stats)


def _to_unavailable(error: Exception) -> StatsUnavailable:
    """What anyone may read. A driver's words name hosts and users: those are for the log."""
    if isinstance(error, ConfigError):
        return StatsUnavailable(str(error))
    if isinstance(error, SQLAlchemyError):
        log.warning("outbox out of reach, not counted", reason=describe(error))
        return StatsUnavailable(
            "The database cannot be read: see whether it runs and DATABASE_URL is right. "
            "The log has its words."
        )
    log.error("fault of the bridge, outbox not counted", reason=where(error))
    return StatsUnavailable(
        "The outbox could not be counted, by a fault of the bridge: see its log."
    )
