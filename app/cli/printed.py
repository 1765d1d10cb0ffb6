"""An event as a terminal shows it. What is in it was written by strangers."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from app.formatting import (
    escape_undecodable,
    event_to_values,
    iso_time,
    join_reasons,
    printable,
    read_reasons,
)
from app.outbox.messages import Attempt, read_history
from app.outbox.search import Event

REASON = 60
"""Characters of a reason in a line."""


def event_to_line(event: Event) -> str:
    """One line, in columns; what is not known is "-"."""
    columns = (
        f"{_time(event.received_at):20}",
        f"{event.state:11}",
        f"{event.collection or '-':20}",
        f"{_person(event):30}",
        f"{event.tries:>2}",
        event.message_id,
        _short(join_reasons(read_reasons(event.error))),
    )
    return printable("  ".join(columns).rstrip())


def event_to_json(event: Event) -> str:
    """Write one event as one line of JSON, with every field."""
    return json.dumps(event_to_values(asdict(event), _to_isoformat))


def event_to_page(event: Event) -> str:
    """All of it: how it stands, what came from Drip, and what Segment gets."""
    due = event.due_at if event.state in ("pending", "held") else None
    lines = (
        f"message id  {event.message_id}",
        f"state       {event.state}",
        f"collection  {event.collection or '-'}",
        f"account     {event.account or '-'}",
        f"person      {_person(event)}",
        f"received    {_time(event.received_at)}",
        f"tries       {event.tries}",
        f"due         {_time(due)}",
        f"settled     {_time(event.settled_at)}",
        f"error       {join_reasons(read_reasons(event.error)) or '-'}",
        *(f"history     {_attempt(attempt)}" for attempt in read_history(event.history)),
    )
    return "\n".join(
        [
            *map(printable, lines),
            f"\nWhat Drip sent ({len(event.raw):,} bytes):\n",
            _body(event.raw),
            "\nWhat Segment gets:\n",
            "-" if event.payload is None else _pretty(json.loads(event.payload)),
        ]
    )


def _attempt(attempt: Attempt) -> str:
    return f"{_time(attempt.at)}  {attempt.reason} {attempt.words}".rstrip()


def _body(raw: bytes) -> str:
    if not raw:
        return "-"
    try:
        return _pretty(json.loads(raw))
    except (ValueError, RecursionError):
        return printable(escape_undecodable(raw), keep="\n")


def _pretty(value: Any) -> str:
    return printable(json.dumps(value, indent=2, ensure_ascii=False), keep="\n")


def _person(event: Event) -> str:
    """The address, or else the user id that Segment gets."""
    call = json.loads(event.payload) if event.payload else {}
    return str(event.email or call.get("userId", "-"))


def _short(text: str) -> str:
    return text if len(text) <= REASON else f"{text[: REASON - 1]}…"


def _to_isoformat(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _time(at: float | None) -> str:
    return "-" if at is None else iso_time(at)
