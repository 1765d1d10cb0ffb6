"""Quarantined events through the translation once more, and any event that somebody names.

The third file that joins stages: what the rules of today say, and what is kept.
"""

from collections import Counter
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError

from app.logs import get_logger
from app.outbox.correction import START, Correction, Kept
from app.outbox.engine import describe, is_of_content
from app.outbox.messages import Ignored
from app.outbox.pace import Wait, in_steps
from app.source.translate import translate

log = get_logger(__name__)

PAGE = 20
"""Events in memory at once: a body may be 1 MiB."""

Outcome = Literal["requeued", "duplicate", "ignored", "unreadable", "gone", "unknown", "left alone"]
"""What became of one event."""

WORDS: dict[Outcome, str] = {
    "requeued": "due now",
    "duplicate": "kept already, so the quarantined copy went",
    "ignored": "no email event, so it went",
    "unreadable": "still cannot be read and stays in quarantine",
    "gone": "another process was quicker",
    "unknown": "no event has this id",
    "left alone": "neither dead nor quarantined, so it was left alone",
}


def requeue_quarantined(correction: Correction, now: float, wait: Wait) -> Counter[Outcome]:
    """All that had been quarantined by `now`; how many became what."""
    outcomes: Counter[Outcome] = Counter()
    last = START

    def step() -> list[Kept]:
        page = correction.quarantined(last, now, PAGE)
        outcomes.update(_translate(correction, event, now) for event in page)
        return page

    for page in in_steps(step, wait):
        last = page[-1].place
    return outcomes


def requeue_one(correction: Correction, message_id: str, now: float) -> Outcome:
    """A dead or a quarantined event."""
    found = correction.find(message_id)
    if found is None:
        return "unknown"
    if found.state == "quarantined":
        return _translate(correction, found, now)
    if found.state == "dead":
        return "requeued" if correction.requeue_dead(found.id, now) else "gone"
    return "left alone"


def _translate(correction: Correction, event: Kept, now: float) -> Outcome:
    message = translate(event.raw, event.received_at, event.account)
    if isinstance(message, Ignored):
        return "ignored" if correction.discard(event.id) else "gone"
    if message.payload is None:
        return "unreadable" if correction.explain(event.id, message.errors) else "gone"
    try:
        is_new = correction.release(event.id, message, now)
    except SQLAlchemyError as error:
        if not is_of_content(error):
            raise
        log.warning("refused by the database, event left in quarantine", reason=describe(error))
        return "unreadable"
    if is_new is None:
        return "gone"
    return "requeued" if is_new else "duplicate"
