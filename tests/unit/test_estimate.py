"""When a backlog can have been sent at the earliest, by what was sent within the last hour."""

import pytest

from app.segment_to_drip.sending.budget import HOUR, Slot
from app.segment_to_drip.sending.estimate import earliest_end
from app.segment_to_drip.sending.operations import Bucket

NOW = 1_000_000.0

Slots = dict[Bucket, list[Slot]]

UNUSED: Slots = {"requests": [Slot(NOW, 3_600)], "batches": [Slot(NOW, 50)]}
USED_UP: Slots = {
    "requests": [Slot(NOW, 0), Slot(NOW + 700, 1_800), Slot(NOW + 600, 1_800)],
    "batches": [Slot(NOW, 0), Slot(NOW + 60, 25), Slot(NOW + 120, 25)],
}
CLOSED: Slots = {"requests": [Slot(NOW, 0)], "batches": [Slot(NOW, 0)]}


@pytest.mark.parametrize(
    ("calls", "alone", "slots", "seconds"),
    [
        (1, 0, UNUSED, 0),
        (53_600, 0, UNUSED, 0),
        (53_601, 0, UNUSED, HOUR),
        (200_000, 0, UNUSED, 3 * HOUR),
        (3_601, 3_600, UNUSED, 0),
        (3_601, 3_601, UNUSED, HOUR),
        (200_000, 36_001, UNUSED, 10 * HOUR),
        (25_000, 0, USED_UP, 60),
        (25_001, 0, USED_UP, 120),
        (50_001, 0, USED_UP, 600),
        (53_600, 0, USED_UP, 700),
        (53_601, 0, USED_UP, 60 + HOUR),
        (1_801, 1_801, USED_UP, 700),
    ],
)
def test_each_request_is_used_again_after_an_hour(
    calls: int, alone: int, slots: Slots, seconds: float
) -> None:
    assert earliest_end(calls, alone, slots) == NOW + seconds


def test_without_requests_or_calls_there_is_no_end() -> None:
    assert earliest_end(1, 0, CLOSED) is None
    assert earliest_end(2, 1, {**UNUSED, "requests": [Slot(NOW, 0)]}) is None
    assert earliest_end(0, 0, UNUSED) is None
