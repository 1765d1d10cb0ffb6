"""Estimate how long Drip's limits by the hour make a backlog last. Pure."""

from collections.abc import Mapping, Sequence
from itertools import accumulate

from app.segment_to_drip.sending.budget import HOUR, Slot
from app.segment_to_drip.sending.operations import Bucket
from app.segment_to_drip.sending.planning import LARGEST_BATCH


def earliest_end(calls: int, alone: int, slots: Mapping[Bucket, Sequence[Slot]]) -> float | None:
    """When the last of so many calls can be sent at the earliest, in seconds since the epoch. None
    if that is not known.

    `alone` of them need a request of their own, and the others go in full batches too. `slots` are
    all requests of an hour.
    """
    singles = slots["requests"]
    batches = [Slot(at, requests * LARGEST_BATCH) for at, requests in slots["batches"]]
    ends = _end(alone, singles), _end(calls, [*singles, *batches])
    return None if None in ends else max(filter(None, ends), default=None)


def _end(calls: int, slots: Sequence[Slot]) -> float | None:
    """When the last of so many calls is sent, if each slot is used at once. A request that is used
    is free again after an hour, so the slots repeat."""
    an_hour = sum(slot.requests for slot in slots)
    if not calls:
        return 0.0
    if not an_hour:
        return None
    hours, rest = divmod(calls - 1, an_hour)
    in_order = sorted(slots)
    sent = accumulate(slot.requests for slot in in_order)
    at = next(slot.at for slot, so_far in zip(in_order, sent, strict=True) if so_far > rest)
    return at + hours * HOUR
