"""Limit how much of what cannot be read is kept, so that it does not fill the disk.

What was accepted stays until its retention ends. A body that no longer fits is not kept, and its
sender sends it again: Drip for three days (docs/facts.md § 1). That gives an operator time to see
why it cannot be read.
"""

from app.errors import OutboxUnavailable

MOST_BYTES = 500_000_000

OVERHEAD = 1_000
"""Bytes that each message takes beside its body."""

LARGEST_BODY = 1 << 20
"""Bytes that one body may have."""


def is_full(kept: int) -> bool:
    """Whether the largest body does not fit any more, with so many bytes kept."""
    return kept + LARGEST_BODY + OVERHEAD > MOST_BYTES


class Quarantine:
    """The size of the quarantine as one process knows it: the last count and its own additions."""

    def __init__(self) -> None:
        self._bytes = 0

    def note(self, kept: int) -> None:
        """Set the size to a new count, in bytes."""
        self._bytes = kept

    def take(self, body: bytes) -> None:
        """Reserve room for a body. Raises `OutboxUnavailable` if there is none."""
        size = len(body) + OVERHEAD
        if self._bytes + size > MOST_BYTES:
            raise OutboxUnavailable("quarantine is full")
        self._bytes += size
