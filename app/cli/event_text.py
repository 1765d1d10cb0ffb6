"""Format an event for a terminal, as a line of a list or as a page.

Events hold text from strangers, so whatever a terminal would interpret is escaped.
"""

import json
from typing import Any

from app.bridge import Bridge
from app.destination import Labels
from app.formatting import escape_undecodable, iso_time, join_reasons, printable, read_reasons
from app.outbox.messages import Attempt, read_history
from app.outbox.search import Event

REASON_CHARACTERS = 60
"""The most of an error that a line of the list shows."""


class EventText:
    """Format the events of a bridge. If it has two directions, each event shows its own."""

    def __init__(self, bridge: Bridge) -> None:
        self._search = bridge.search
        self._has_two = len(bridge.directions) > 1
        self._labels: dict[str, Labels] = {
            each.destination.name: each.destination.labels for each in bridge.directions
        }

    def line(self, event: Event) -> str:
        """Format an event as one line in columns, with "-" for what is not known."""
        columns = (
            f"{_time(event.received_at):20}",
            *([f"{event.destination:7}"] if self._has_two else []),
            f"{event.state:11}",
            f"{event.collection or '-':20}",
            f"{self._person(event):30}",
            f"{event.tries:>2}",
            event.message_id,
            _truncate(join_reasons(read_reasons(event.error))),
        )
        return printable("  ".join(columns).rstrip())

    def page(self, event: Event) -> str:
        """Format all of an event: its state, what came, and what the destination gets."""
        labels = self._labels[event.destination]
        due = event.due_at if event.state in ("pending", "held") else None
        lines = (
            f"message id  {event.message_id}",
            *([f"to          {labels.destination}"] if self._has_two else []),
            f"state       {event.state}",
            f"collection  {event.collection or '-'}",
            f"account     {event.account or '-'}",
            f"person      {self._person(event)}",
            f"received    {_time(event.received_at)}",
            f"tries       {event.tries}",
            f"due         {_time(due)}",
            f"settled     {_time(event.settled_at)}",
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


def _truncate(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else f"{text[: REASON_CHARACTERS - 1]}…"


def _time(at: float | None) -> str:
    return "-" if at is None else iso_time(at)
