"""An event as a terminal shows it. What is in it was written by strangers."""

import json
from base64 import b64encode
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from app.outbox.messages import Attempt, read_history
from app.outbox.search import Event

REASON = 60
"""Characters of a reason in a line."""


def event_to_line(event: Event) -> str:
    """One line, in columns; what is not known is "-"."""
    columns = (
        f"{_instant(event.received_at):20}",
        f"{event.state:11}",
        f"{event.collection or '-':20}",
        f"{_person(event):30}",
        f"{event.tries:>2}",
        event.message_id,
        _short(_reasons(event.error)),
    )
    return printable("  ".join(columns).rstrip())


def event_to_json(event: Event) -> str:
    """One line of JSON with every field. The body is text, or in base64 if it is none."""
    values = asdict(event)
    for name in ("received_at", "due_at", "settled_at"):
        if values[name] is not None:
            values[name] = datetime.fromtimestamp(values[name], UTC).isoformat()
    values["payload"] = event.payload and json.loads(event.payload)
    try:
        values["raw"] = event.raw.decode()
    except UnicodeDecodeError:
        values["raw"] = None
        values["raw_base64"] = b64encode(event.raw).decode()
    return json.dumps(values)


def event_to_page(event: Event) -> str:
    """All of it: how it stands, what came from Drip, and what Segment gets."""
    due = event.due_at if event.state in ("pending", "held") else None
    lines = (
        f"message id  {event.message_id}",
        f"state       {event.state}",
        f"collection  {event.collection or '-'}",
        f"account     {event.account or '-'}",
        f"person      {_person(event)}",
        f"received    {_instant(event.received_at)}",
        f"tries       {event.tries}",
        f"due         {_instant(due)}",
        f"settled     {_instant(event.settled_at)}",
        f"error       {_reasons(event.error) or '-'}",
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
    return f"{_instant(attempt.at)}  {attempt.reason} {attempt.words}".rstrip()


def printable(text: str) -> str:
    """The text with each character escaped that would drive the terminal or deceive the eye."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _body(raw: bytes) -> str:
    if not raw:
        return "-"
    try:
        return _pretty(json.loads(raw))
    except (ValueError, RecursionError):
        # a backslash is doubled, so that each byte can be told from its escape
        text = raw.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
        return _by_line(text)


def _pretty(value: Any) -> str:
    return _by_line(json.dumps(value, indent=2, ensure_ascii=False))


def _by_line(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _person(event: Event) -> str:
    """The address, or else the user id that Segment gets."""
    call = json.loads(event.payload) if event.payload else {}
    return str(event.email or call.get("userId", "-"))


def _reasons(error: str | None) -> str:
    """What could not be read comes field by field, in JSON."""
    try:
        fields = json.loads(error or "{}")
        return "; ".join(f"{field}: {' '.join(said)}" for field, said in fields.items())
    except (ValueError, AttributeError, TypeError):
        return error or ""


def _short(text: str) -> str:
    return text if len(text) <= REASON else f"{text[: REASON - 1]}…"


def _instant(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
