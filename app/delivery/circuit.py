"""A circuit breaker for each key: after some answers nothing is sent with that key for a while."""

from dataclasses import dataclass, replace
from math import inf

GOOD_FOR = 600.0
"""Seconds for which a key that worked is trusted, whatever one message is answered."""


@dataclass(frozen=True)
class Circuit:
    """What is known about one key. Times are seconds since the epoch."""

    opened_at: float = 0.0
    open_until: float = 0.0
    reason: str = ""
    """Why it is open, if a person has to act; "" if it may close by itself."""
    unreachable: int = 0
    """How often in a row nothing was reached."""
    good_at: float = -inf
    """When the destination last took a batch; never, if it has refused the key since."""
    refused_alone: frozenset[int] = frozenset()
    """Messages that were refused when sent alone, since the last batch was taken."""

    def is_open(self, now: float) -> bool:
        """Whether nothing may be sent. If the clock was set back behind the opening, it may:
        nobody waits for that hour to pass again."""
        return self.opened_at <= now < self.open_until

    def was_good(self, now: float) -> bool:
        """Whether the key has worked lately."""
        return now - self.good_at < GOOD_FOR

    def after_success(self, now: float) -> "Circuit":
        """A batch was taken."""
        return replace(self, unreachable=0, good_at=now, refused_alone=frozenset())

    def open(self, now: float, seconds: float, reason: str = "") -> "Circuit":
        """Nothing is sent for so long."""
        return replace(self, opened_at=now, open_until=now + seconds, reason=reason)
