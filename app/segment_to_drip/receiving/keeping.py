"""Keep what the events of one request have become, and say what became of them."""

import time
from collections.abc import Iterable
from http import HTTPStatus

from app.errors import ContentRejected
from app.logs import get_logger
from app.outbox.group_commit import GroupCommit
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.receiving.outcome import counts_in, outcome_of, skipped_in
from app.segment_to_drip.translate import quarantine
from app.web.receiver import Answer

log = get_logger(__name__)

RETRY_AFTER = {"Retry-After": "30"}

UNAVAILABLE = Answer(
    "not kept",
    {"error": "Cannot be kept now; send again."},
    HTTPStatus.SERVICE_UNAVAILABLE,
    RETRY_AFTER,
)


TURN = 0.005
"""Seconds for which events are translated before other answers get their turn."""


def in_turns(events: Iterable[Message | Ignored], outbox: GroupCommit) -> list[Message | Ignored]:
    """The events as a list. Others get their turn while it is made, which may take long."""
    found: list[Message | Ignored] = []
    turn_ends = time.monotonic() + TURN
    for event in events:
        found.append(event)
        if time.monotonic() > turn_ends:
            outbox.let_others_run()
            turn_ends = time.monotonic() + TURN
    return found


def keep(found: list[Message | Ignored], outbox: GroupCommit) -> Answer:
    """Keep all messages. The answer is given once they are committed."""
    messages = [each for each in found if isinstance(each, Message)]
    kept, new = _put(messages, outbox)
    in_order = iter(kept)
    found = [each if isinstance(each, Ignored) else next(in_order) for each in found]
    status, body = outcome_of(found, new)
    collection = (len(found) == 1 and len(kept) == 1 and kept[0].collection) or ""
    return Answer(
        status,
        body,
        collection=collection,
        log_fields=counts_in(body),
        skipped=skipped_in(body),
    )


def _put(messages: list[Message], outbox: GroupCommit) -> tuple[list[Message], set[str]]:
    """Return the messages as they were kept, and the ids of those that are new.

    If the database refuses the content of one, the others are kept, and it goes to quarantine.
    """
    try:
        return messages, outbox.put_all(messages)
    except ContentRejected as error:
        reason = str(error)
    if len(messages) == 1:
        log.error("refused by the database, event set aside", reason=reason)
        aside = [quarantine(messages[0], {"body": [f"The database refuses it: {reason}"]})]
        return aside, outbox.put_all(aside)
    middle = len(messages) // 2
    first, new_of_first = _put(messages[:middle], outbox)
    rest, new_of_rest = _put(messages[middle:], outbox)
    return first + rest, new_of_first | new_of_rest
