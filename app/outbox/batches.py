"""Run long jobs in short batches so that other writers are not blocked."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Step = TypeVar("Step")

Wait = Callable[[float], object]
"""Waits for so many seconds, and returns something true to stop, as `threading.Event.wait` does."""

SHORTEST_PAUSE = 0.02
"""Seconds between two batches, at least."""

STEP_BYTES = 1_000_000
"""Bytes of bodies that are changed with one commit. SQLite's log grows by as much before the file
can shrink, so this has to fit on a disk that is nearly full."""


def within(sized: Iterable[tuple[int, int]], most: int = STEP_BYTES) -> list[int]:
    """The first ids of `sized` (pairs of id and size) whose sizes together are at most `most`;
    at least one."""
    ids: list[int] = []
    for id_, size in sized:
        most -= size
        if most < 0 and ids:
            break
        ids.append(id_)
    return ids


def in_batches(step: Callable[[], Step], wait: Wait = time.sleep) -> Iterator[Step]:
    """Yields what each step returns, until one returns nothing or `wait` returns something true.

    Each pause is as long as the step before it, so others have the database half of the time.
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
