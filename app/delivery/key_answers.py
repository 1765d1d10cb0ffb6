"""Record what each answer says of its key, without a write for every batch."""

import time
from collections.abc import Callable
from typing import NamedTuple

from app.delivery.circuit import Circuit
from app.destination import RateLimited, RetryableError, SendError, Unreachable
from app.outbox.answers import WORKS, Answers, Kind

NOTE_EVERY = 5.0
"""Seconds between two records of an answer that is like the one before."""


LONG = 30.0
"""Seconds of a wait for a limit that is worth showing. A shorter one is about a single message."""


class _Noted(NamedTuple):
    """The answer that was recorded last."""

    kind: Kind
    at: float
    """By the monotonic clock."""
    unrecorded: int
    """Failures since then."""


class KeyAnswers:
    """The answers that one deliverer got."""

    def __init__(self, answers: Answers, clock: Callable[[], float]) -> None:
        self._answers = answers
        self._clock = clock
        self._noted: dict[str, _Noted] = {}

    def note(self, key: str, answer: SendError | None, circuit: Circuit) -> bool:
        """Record an answer: at once if it is another than before, or else now and then. `answer` is
        None if the batch was taken, `circuit` is the key's after it.

        Returns whether the key works again. Raises `SQLAlchemyError`.
        """
        now = self._clock()
        kind = kind_of(answer, circuit.is_open(now))
        if kind is None:
            return False
        last = self._noted.get(key)
        failures = (last.unrecorded if last else 0) + (kind not in WORKS)
        is_same = last and (last.kind == kind or {last.kind, kind} <= {*WORKS})
        if last and is_same and time.monotonic() - last.at < NOTE_EVERY:
            self._noted[key] = last._replace(unrecorded=failures)
            return False
        reason = "taken" if answer is None else str(answer)
        next_at = max(now, circuit.open_until)
        works_again = self._answers.note(key, kind, reason, now, next_at, failures)
        self._noted[key] = _Noted(kind, time.monotonic(), 0)
        return works_again


def kind_of(answer: SendError | None, is_paused: bool) -> Kind | None:
    """What an answer says of its key; None if nothing. `is_paused` is whether nothing is sent with
    the key now."""
    match answer:
        case None:
            return "taken"
        case RetryableError():
            return "failing"
        case RateLimited(wait=wait):
            return "limited" if wait >= LONG else None
        case Unreachable():
            return "unreachable"
        case _:
            return "refused" if is_paused else "rejected"
