"""Long work in short steps, so that whoever writes meanwhile is never held up."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Step = TypeVar("Step")

Wait = Callable[[float], object]
"""Waits for seconds; something true means to stop, as with `threading.Event.wait`."""

SHORTEST_PAUSE = 0.02

STEP_BYTES = 1_000_000
"""Of bodies that go with one commit: SQLite's log grows by as much, also on a disk that is full."""


def within(sized: Iterable[tuple[int, int]], most: int = STEP_BYTES) -> list[int]:
    """The ids of the first ones whose sizes together are at most this; of one at least."""
    ids: list[int] = []
    for id_, size in sized:
        most -= size
        if most < 0 and ids:
            break
        ids.append(id_)
    return ids


def in_batches(step: Callable[[], Step], wait: Wait = time.sleep) -> Iterator[Step]:
    """What each step gives, until one gives nothing or `wait` says to stop.

    After each step others have the database for as long as the step had it.
    """
    while True:
        began = time.monotonic()
        done = step()
        took = time.monotonic() - began
        if not done:
            return
        yield done
        if wait(max(SHORTEST_PAUSE, took)):
            return
