"""Limit how much of what cannot be read is kept, so that it does not fill the disk.

What was accepted stays until its retention ends. A body that no longer fits is not kept, and its
sender sends it again: Drip for three days (docs/development/facts.md § 1), Segment for four hours.
That gives an operator time to see why it cannot be read.
"""

from collections.abc import Sequence

MOST_BYTES = 500_000_000

OVERHEAD = 1_000
"""Bytes that each message takes beside its body."""

LARGEST_BODY = 8 << 20
"""Bytes that one body of any source may have."""


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

    def take(self, bodies: Sequence[bytes]) -> bool:
        """Reserve room for all of these bodies. Returns False if there is none."""
        size = sum(map(len, bodies)) + len(bodies) * OVERHEAD
        if self._bytes + size > MOST_BYTES:
            return False
        self._bytes += size
        return True
