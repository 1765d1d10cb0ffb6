"""A circuit breaker for each key: after certain answers nothing is sent with it for a while."""

from dataclasses import dataclass, replace
from math import inf

GOOD_FOR = 600.0
"""Seconds for which a key counts as good after it has worked, whatever one message is answered."""


@dataclass(frozen=True)
class Circuit:
    """What is known about one key. Times are in seconds since the epoch."""

    opened_at: float = 0.0
    open_until: float = 0.0
    reason: str = ""
    """Why it is open, if an operator has to act; "" if the trouble may pass by itself."""
    unreachable: int = 0
    """How many times in a row the destination was not reached."""
    good_at: float = -inf
    """When the destination last took a batch; -inf if never, or if it has refused the key since."""
    refused_alone: frozenset[int] = frozenset()
    """Ids of messages that were refused when sent alone, since the last batch was taken."""

    def is_open(self, now: float) -> bool:
        """Whether nothing may be sent. A circuit that opened in the future counts as closed: the
        clock was set back since, and messages should not wait for that time to pass again."""
        return self.opened_at <= now < self.open_until

    def was_good(self, now: float) -> bool:
        """Whether the key worked within `GOOD_FOR`."""
        return now - self.good_at < GOOD_FOR

    def after_success(self, now: float) -> "Circuit":
        """The circuit after the destination took a batch."""
        return replace(self, unreachable=0, good_at=now, refused_alone=frozenset())

    def open(self, now: float, seconds: float, reason: str = "") -> "Circuit":
        """The circuit opened for so many seconds."""
        return replace(self, opened_at=now, open_until=now + seconds, reason=reason)
