"""How often a password may be tried."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


class Attempts:
    """Ten a minute from one address, sixty from all together; right or wrong, each counts.

    What an address tries beyond its ten does not count towards the sixty, so one address cannot
    lock others out; six can, for as long as they go on, and sessions that are open go on as well.

    Counted in memory, each process for itself: with several, as many times more may get through.
    A password of twelve characters can bear that.
    """

    def __init__(self, each: int = 10, together: int = 60) -> None:
        self._each = RateLimitItemPerMinute(each)
        self._together = RateLimitItemPerMinute(together)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, caller: str) -> int:
        """Count one more; 0 where it may be tried now."""
        if not self._limiter.hit(self._each, "each", caller):
            return self._left(self._each, "each", caller)
        if not self._limiter.hit(self._together, "together"):
            return self._left(self._together, "together")
        return 0

    def _left(self, limit: RateLimitItemPerMinute, *key: str) -> int:
        reset_at, _ = self._limiter.get_window_stats(limit, *key)
        return max(1, math.ceil(reset_at - time.time()))
