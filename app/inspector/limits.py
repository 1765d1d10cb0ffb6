"""Limits for all users together: expensive requests at the same time, and login attempts.

Webhooks need the database and the interpreter too, and they have priority.
"""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from werkzeug.exceptions import ServiceUnavailable

RETRY_AFTER = 5
"""Seconds after which a refused request may be repeated."""


class ConcurrencyLimit:
    """A limit on how many requests do something at the same time, in one process.

    Others wait for a moment, and are then refused with a message.
    """

    def __init__(self, limit: int, wait: float, refusal: str) -> None:
        self._slots = threading.BoundedSemaphore(limit)
        self._wait = wait
        self._refusal = refusal

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot while the block runs. Raises `ServiceUnavailable` if none is free."""
        if not self._slots.acquire(timeout=self._wait):
            raise ServiceUnavailable(self._refusal, retry_after=RETRY_AFTER)
        try:
            yield
        finally:
            self._slots.release()


HEAVY = ConcurrencyLimit(
    1,
    wait=1.0,
    refusal="Another search, retry or deletion is under way, perhaps in another tab. One runs at a "
    "time, so that webhooks are not held up: try again in some seconds.",
)
"""For requests that go through many events."""

DOWNLOADS = ConcurrencyLimit(
    2,
    wait=0.0,
    refusal="Two downloads are under way. More would hold up webhooks: try again once one is done.",
)

CALLS_OUT = ConcurrencyLimit(
    1,
    wait=0.0,
    refusal="Another check or test is under way: try again once it is done.",
)
"""For requests that wait for another service, so that they do not take all threads of pages."""


class LoginRateLimit:
    """At most ten logins a minute from one address, and sixty from all, whether right or wrong.

    An address's attempts beyond its ten do not count towards the sixty, so one address cannot lock
    others out. Six can, but open sessions stay open.

    Each process counts in its own memory, so several processes let several times as many through.
    For a password of twelve characters that is still safe.
    """

    def __init__(self, per_address: int = 10, in_all: int = 60) -> None:
        self._per_address = RateLimitItemPerMinute(per_address)
        self._in_all = RateLimitItemPerMinute(in_all)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, address: str) -> int:
        """Count an attempt, and return how long it has to wait: 0 if it may be made now."""
        if not self._limiter.hit(self._per_address, "address", address):
            return self._seconds_left(self._per_address, "address", address)
        if not self._limiter.hit(self._in_all, "all"):
            return self._seconds_left(self._in_all, "all")
        return 0

    def _seconds_left(self, limit: RateLimitItemPerMinute, *key: str) -> int:
        reset_at, _ = self._limiter.get_window_stats(limit, *key)
        return max(1, math.ceil(reset_at - time.time()))
