"""How much of what cannot be read is kept: a disk that is full of it would keep nothing else.

What was kept stays, for as long as was promised. What no longer fits is answered 429, after which
Drip sends it again for three days: time for a person to see why it cannot be read.
"""

from app.errors import OutboxUnavailable

MOST_BYTES = 500_000_000

OVERHEAD = 1_000
"""Bytes that each takes beside its body."""

LARGEST_BODY = 1 << 20


def is_full(kept: int) -> bool:
    """Whether the largest body does not fit in beside so many bytes."""
    return kept + LARGEST_BODY + OVERHEAD > MOST_BYTES


class Quarantine:
    """What one process knows of it: as it was last counted, and what it has put in since."""

    def __init__(self) -> None:
        self._bytes = 0

    def note(self, kept: int) -> None:
        """So many bytes are in it."""
        self._bytes = kept

    def take(self, body: bytes) -> None:
        """Take room for a body. Raises `OutboxUnavailable`."""
        size = len(body) + OVERHEAD
        if self._bytes + size > MOST_BYTES:
            raise OutboxUnavailable("quarantine is full")
        self._bytes += size
