"""What becomes of a message that an operator retries."""

from typing import Literal

Outcome = Literal["requeued", "duplicate", "ignored", "unreadable", "gone", "unknown", "left alone"]

WORDS: dict[Outcome, str] = {
    "requeued": "due now",
    "duplicate": "kept already, so the rejected copy went",
    "ignored": "nothing that is sent, so it went",
    "unreadable": "still cannot be read, and stays rejected",
    "gone": "changed by another process meanwhile",
    "unknown": "no event has this id",
    "left alone": "nothing to do: sent already, or sent as soon as it can be",
}
"""How an outcome is shown to the operator."""
