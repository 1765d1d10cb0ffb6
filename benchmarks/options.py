"""What can be asked of a run."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """For every figure alike."""

    rounds: int = 5
    seconds: int = 10
    """Of each load."""
    scale: float = 1.0
    """Of the counts of events, and of the minute of sustained load."""
    only: Sequence[str] = ()

    def count(self, full: int) -> int:
        """As many events as the scale leaves; a batch at least."""
        return max(int(full * self.scale), 100)
