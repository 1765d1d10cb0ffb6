"""How many expensive pages are made at the same time, whoever asks for them and in however many
tabs: webhooks need the database and the interpreter more."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ServiceUnavailable

RETRY_AFTER = 5
"""Seconds, for whoever was refused."""


class AtOnce:
    """So many at once, in one process; others wait a moment, and are then told to come again."""

    def __init__(self, most: int, wait: float, refusal: str) -> None:
        self._places = threading.BoundedSemaphore(most)
        self._wait = wait
        self._refusal = refusal

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the places. Raises `ServiceUnavailable`."""
        if not self._places.acquire(timeout=self._wait):
            raise ServiceUnavailable(self._refusal, retry_after=RETRY_AFTER)
        try:
            yield
        finally:
            self._places.release()


HEAVY = AtOnce(
    1,
    wait=1.0,
    refusal="Another search, or another erasing or reading again, is under way, in another tab or "
    "by somebody else. One is done at a time, so that webhooks are not held up: try again in some "
    "seconds.",
)
"""What goes through many events."""

DOWNLOADS = AtOnce(
    2,
    wait=0.0,
    refusal="Two downloads are under way. More would hold up webhooks: try again once one is done.",
)
