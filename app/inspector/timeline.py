"""The timeline of one event: what happened to it, when, and what happens next if it is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.destination import Labels
from app.outbox.found import Event
from app.outbox.messages import Attempt, read_history
from app.outbox.status import Status

BY_HAND = ("retried by hand", "requeued")
"""How a history notes an operator's retry; the second one is of before version 0.2."""

Mark = Literal["done", "good", "bad", "next"]


@dataclass(frozen=True)
class Moment:
    """One point of the timeline. Times are in seconds since the epoch."""

    at: float
    what: str
    mark: Mark = "done"
    words: str = ""
    """The destination's answer."""
    after: float | None = None
    """Seconds since the moment before it, if it is known and did not come first."""


def timeline(
    event: Event, happened_at: float | None, status: Status, labels: Labels
) -> list[Moment]:
    """The moments in their order; the last one may be still to come."""
    moments = [
        *_beginning(event, happened_at, labels),
        *_attempts(read_history(event.history)),
        *_end(event, status),
    ]
    return [moments[0], *map(_after, moments, moments[1:])]


def _after(before: Moment, moment: Moment) -> Moment:
    after = moment.at - before.at
    return Moment(moment.at, moment.what, moment.mark, moment.words, after if after > 0 else None)


def _beginning(event: Event, happened_at: float | None, labels: Labels) -> Iterator[Moment]:
    if happened_at is not None:
        yield Moment(happened_at, "Happened")
    yield Moment(event.received_at, f"Received from {labels.source}, and on disk")


def _attempts(attempts: list[Attempt]) -> Iterator[Moment]:
    """Attempts are counted anew when an event is retried by hand."""
    number = 0
    for attempt in attempts:
        if attempt.reason in BY_HAND:
            number = 0
            yield Moment(attempt.at, "Retried by hand")
        elif attempt.reason == "taken":
            yield Moment(attempt.at, "Note on the answer", words=attempt.words)
        else:
            number += 1
            yield Moment(attempt.at, f"Attempt {number}: {attempt.reason}", "bad", attempt.words)


def _end(event: Event, status: Status) -> Iterator[Moment]:
    if event.state == "sent" and event.settled_at is not None:
        done = f"Attempt {event.tries}: delivered" if event.tries else "Nothing had to be sent"
        yield Moment(event.settled_at, done, "good")
    elif status.is_settled and event.settled_at is not None:
        yield Moment(event.settled_at, status.word, "bad")
    elif event.state == "unidentified":
        yield Moment(event.due_at, "Expires, if no address is known by then", "next")
    elif status.next_at is not None:
        yield Moment(status.next_at, f"Attempt {event.tries + 1}", "next")
