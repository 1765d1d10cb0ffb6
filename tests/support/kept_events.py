"""Events as a search finds them."""

from typing import Any

from app.outbox.search import Event

NOW = 1_762_076_000.0
"""2025-11-02T09:33:20Z."""


def event(state: Any, **kwargs: Any) -> Event:
    """An event of a minute ago in this state; `kwargs` are other fields."""
    fields: dict[str, Any] = {
        "id": 1,
        "destination": "segment",
        "message_id": "drip-1",
        "account": "4417",
        "state": state,
        "collection": "Email Opened",
        "email": None,
        "received_at": NOW - 60,
        "due_at": NOW - 60,
        "settled_at": None,
        "tries": 0,
        "lease": None,
        "error": None,
        "reason": None,
        "dismissed_at": None,
        "payload": "{}",
        "raw": b"",
        "history": None,
    }
    return Event(**{**fields, **kwargs})
