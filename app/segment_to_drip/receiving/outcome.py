"""Count what became of the events of one request, for the answer and the log. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from app.errors import FieldErrors
from app.outbox.messages import Ignored, Message

MOST_LISTED = 20
"""Quarantined events whose errors are in the answer."""

KINDS = ("accepted", "duplicate", "ignored", "quarantined")
"""What becomes of an event. A request is called by the first kind that it has."""

COUNTS = {
    "accepted": "accepted",
    "duplicate": "duplicates",
    "ignored": "ignored",
    "quarantined": "quarantined",
}
"""Each kind → what its number is called in the answer."""


def outcome_of(found: Sequence[Message | Ignored], new: set[str]) -> tuple[str, dict[str, Any]]:
    """Return the status of a request, and what else its answer says.

    `found` is what each of its events became, `new` has the message ids that were not kept before.
    """
    kinds = _kinds(found, set(new))
    counts = Counter(kinds)
    body: dict[str, Any] = {COUNTS[kind]: counts[kind] for kind in KINDS}
    body["reasons"] = {"ignored": _ignored(found), "quarantined": _quarantined(found)}
    if len(found) == 1 and isinstance(found[0], Message):
        body["message_id"] = found[0].message_id
    return next((kind for kind in KINDS if counts[kind]), "accepted"), body


def counts_in(body: Mapping[str, Any]) -> dict[str, int]:
    """The counts for the log. Message ids are not logged: one may be a person's address."""
    return {name: body[name] for name in COUNTS.values()}


def skipped_in(body: Mapping[str, Any]) -> dict[str, int]:
    """How many events are not kept, by reason."""
    skipped = dict(body["reasons"]["ignored"])
    return skipped | ({"duplicate": body["duplicates"]} if body["duplicates"] else {})


def _kinds(found: Sequence[Message | Ignored], new: set[str]) -> list[str]:
    """Each event's kind. Of copies in one request the first one is new."""
    kinds = []
    for each in found:
        if _reason_to_ignore(each):
            kinds.append("ignored")
        elif isinstance(each, Message) and each.payload is None:
            kinds.append("quarantined")
        elif isinstance(each, Message) and each.message_id in new:
            new.discard(each.message_id)
            kinds.append("accepted")
        else:
            kinds.append("duplicate")
    return kinds


def _reason_to_ignore(each: Message | Ignored) -> str:
    """Why an event makes no request to Drip, or "" if it makes one.

    An alias is kept, because it tells whose address is meant, but nothing of it is sent.
    """
    if isinstance(each, Ignored):
        return each.reason or each.event
    return "alias" if each.collection == "alias" else ""


def _ignored(found: Sequence[Message | Ignored]) -> Mapping[str, int]:
    return Counter(reason for each in found if (reason := _reason_to_ignore(each)))


def _quarantined(found: Sequence[Message | Ignored]) -> Mapping[str, FieldErrors]:
    """The place of an event in the request, counted from 0 → what is wrong with its fields."""
    wrong = (
        (str(place), each.errors)
        for place, each in enumerate(found)
        if isinstance(each, Message) and each.payload is None
    )
    return dict(islice(wrong, MOST_LISTED))
