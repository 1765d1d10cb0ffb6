"""Name the status of a message in one word, for lists, pages and the command line. Pure.

The words are for people. The database, URLs and metrics keep the names of the states.
"""

from typing import NamedTuple

from app.outbox.found import Event, Summary


class Status(NamedTuple):
    """What a message's status is called, and how it looks."""

    word: str
    mark: str
    """The shape and colour of its badge, as the style sheet names it."""
    is_settled: bool
    """Whether nothing more happens by itself."""
    next_at: float | None = None
    """When it is tried again, in seconds since the epoch, if it has failed before."""


SETTLED = {
    "sent": Status("Delivered", "sent", is_settled=True),
    "dead": Status("Failed", "dead", is_settled=True),
    "quarantined": Status("Rejected", "quarantined", is_settled=True),
    "expired": Status("Expired", "expired", is_settled=True),
    "erased": Status("Deleted", "erased", is_settled=True),
}

HELD = Status("Held", "held", is_settled=False)
PAUSED = Status("Paused", "held", is_settled=False)
SENDING = Status("Sending", "pending", is_settled=False)
QUEUED = Status("Queued", "pending", is_settled=False)


def status_of(message: Event | Summary, now: float, is_paused: bool = False) -> Status:
    """The status of a message. `is_paused` is whether its account's messages are paused."""
    if message.state in SETTLED:
        return SETTLED[message.state]
    if message.state in ("held", "unidentified"):
        return HELD
    if message.lease is not None and message.due_at > now:
        return SENDING
    if is_paused:
        return PAUSED
    if message.tries:
        return Status("Retrying", "pending", is_settled=False, next_at=message.due_at)
    return QUEUED
