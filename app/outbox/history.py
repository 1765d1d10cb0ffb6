"""What happened to an event on its way, as it is kept beside it: a line of JSON for each."""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Attempt:
    """A try that failed, or a hand that sent the event again."""

    at: float
    """Seconds since the epoch."""
    reason: str
    words: str
    """The destination's own; they may quote the event."""


def attempt_to_line(at: float, reason: str, words: str = "") -> str:
    """To be added to the history."""
    return json.dumps({"at": at, "reason": reason, "words": words}) + "\n"


def read_history(text: str | None) -> list[Attempt]:
    """Oldest first."""
    return [Attempt(**json.loads(line)) for line in (text or "").splitlines()]
