"""Format an event for a terminal, as a line of a list or as a page.

Events hold text from strangers, so whatever a terminal would interpret is escaped.
"""

import json
from typing import Any

from app.bridge import Bridge
from app.formatting import (
    clock_time,
    escape_undecodable,
    iso_time,
    join_reasons,
    list_time,
    printable,
    read_reasons,
)
from app.monitoring.pauses import read_pauses
from app.monitoring.statement import statement
from app.outbox.messages import Attempt, read_history
from app.outbox.search import Event
from app.outbox.status import status_of

COLUMNS = (
    ("Received (UTC)", 19),
    ("State", 18),
    ("Collection", 20),
    ("Person", 30),
    ("Reason", 40),
)
"""The columns of the list and their widths. The message id comes after them, because it may have
any length."""

TO = ("To", 7)
"""A further column if the bridge has two directions."""


class EventText:
    """Format the events of a bridge at one moment. If it has two directions, each event shows its
    own."""

    def __init__(self, bridge: Bridge, now: float) -> None:
        self._search = bridge.search
        self._now = now
        self._pauses = read_pauses(bridge.watched)
        self._has_two = len(bridge.directions) > 1
        self._destinations = {each.destination.name: each.destination for each in bridge.directions}

    def header(self) -> str:
        """The names of the columns of a line."""
        return self._row(*(name for name, _ in COLUMNS), "Message id", TO[0])

    def line(self, event: Event) -> str:
        """Format an event as one line in columns, with "-" for what is not known."""
        return self._row(
            list_time(event.received_at),
            self._state(event),
            event.collection or "-",
            self._person(event),
            self._reason(event) or "-",
            event.message_id,
            event.destination,
        )

    def page(self, event: Event) -> str:
        """Format all of an event: its state, what came, and what the destination gets."""
        destination = self._destinations[event.destination]
        labels = destination.labels
        pause = self._pauses.get((event.destination, event.account))
        due = event.due_at if event.settled_at is None else None
        lines = (
            f"message id  {event.message_id}",
            *([f"to          {labels.destination}"] if self._has_two else []),
            f"state       {self._state(event)}",
            f"now         {statement(event, self._now, pause, destination)}",
            f"collection  {event.collection or '-'}",
            f"account     {event.account or '-'}",
            f"person      {self._person(event)}",
            f"received    {_time(event.received_at)}",
            f"tries       {event.tries}",
            f"due         {_time(due)}",
            f"settled     {_time(event.settled_at)}",
            f"dismissed   {_time(event.dismissed_at)}",
            f"reason      {event.reason or '-'}",
            f"error       {join_reasons(read_reasons(event.error)) or '-'}",
            *(f"history     {_format_attempt(attempt)}" for attempt in read_history(event.history)),
        )
        return "\n".join(
            [
                *map(printable, lines),
                f"\nWhat {labels.source} sent ({len(event.raw):,} bytes):\n",
                _format_body(event.raw),
                f"\nWhat {labels.destination} gets:\n",
                "-" if event.payload is None else _format_json(json.loads(event.payload)),
            ]
        )

    def _row(self, received: str, *rest: str) -> str:
        *cells, message_id, to = rest
        columns = [COLUMNS[0], *([TO] if self._has_two else []), *COLUMNS[1:]]
        texts = [received, *([to] if self._has_two else []), *cells]
        row = [_cell(text, width) for text, (_, width) in zip(texts, columns, strict=True)]
        return "  ".join([*row, printable(message_id)])

    def _state(self, event: Event) -> str:
        """Return the state, and of a pending event also what it waits for."""
        if event.state != "pending":
            return event.state
        pause = self._pauses.get((event.destination, event.account))
        return f"pending, {status_of(event, self._now, pause is not None).word.lower()}"

    def _reason(self, event: Event) -> str:
        """Return why it failed or waits, and when it is tried again."""
        reason = event.reason or join_reasons(read_reasons(event.error))
        if event.state == "pending" and reason and event.due_at > self._now:
            return f"next {clock_time(event.due_at, self._now)}: {reason}"
        return reason

    def _person(self, event: Event) -> str:
        """Return the address, or else the user id."""
        return str(event.email or self._search.describe(event).user_id or "-")


def _format_attempt(attempt: Attempt) -> str:
    return f"{_time(attempt.at)}  {attempt.reason} {attempt.words}".rstrip()


def _format_body(raw: bytes) -> str:
    if not raw:
        return "-"
    try:
        return _format_json(json.loads(raw))
    except (ValueError, RecursionError):
        return printable(escape_undecodable(raw), keep="\n")


def _format_json(value: Any) -> str:
    return printable(json.dumps(value, indent=2, ensure_ascii=False), keep="\n")


def _cell(text: str, width: int) -> str:
    shown = printable(text)
    return f"{shown[: width - 1]}…" if len(shown) > width else f"{shown:{width}}"


def _time(at: float | None) -> str:
    return "-" if at is None else iso_time(at)
