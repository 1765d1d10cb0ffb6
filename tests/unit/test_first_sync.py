"""The first sync of an audience takes as long as Drip's limits make it, however its calls come."""

from collections import deque

import pytest

from app.segment_to_drip.sending.budget import Left
from app.segment_to_drip.sending.planning import LARGEST_BATCH, choose

PEOPLE = 200_000
REQUESTS, BATCHES, HOUR = 3_600, 50, 3_600.0
AT_LEAST = (PEOPLE - 1) // (REQUESTS + BATCHES * LARGEST_BATCH) * HOUR
"""Seconds: all of an hour's requests at once, and again after each hour."""


class Bucket:
    """Requests of one kind, in a sliding hour."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit, self.seconds = limit, seconds
        self._sent: deque[float] = deque()

    def left(self, now: float) -> Left:
        while self._sent and self._sent[0] <= now - HOUR:
            self._sent.popleft()
        return Left(self.limit - len(self._sent), len(self._sent), self.limit, 0.0)

    def send(self, now: float) -> float:
        """When it is answered."""
        self._sent.append(now)
        return now + self.seconds


def drain(comes_within: float) -> float:
    """Seconds until all people are sent whose calls come evenly within these seconds."""
    single, batch = Bucket(REQUESTS, 0.25), Bucket(BATCHES, 1.0)
    now, sent = 0.0, 0
    while sent < PEOPLE:
        came = int(PEOPLE * min(now / comes_within, 1.0))
        waiting = min(came - sent, LARGEST_BATCH)
        waited = now - sent / PEOPLE * comes_within
        way = choose(waiting, waited, single.left(now), batch.left(now)) if waiting else None
        match way:
            case "batch":
                now, sent = batch.send(now), sent + waiting
            case "single":
                now, sent = single.send(now), sent + 1
            case None:
                now += 1.0
    return now


@pytest.mark.parametrize("minutes", [0.1, 10, 25])
def test_it_takes_no_longer_than_the_limits_make_it(minutes: float) -> None:
    assert AT_LEAST <= drain(minutes * 60) <= 1.05 * AT_LEAST
