"""Say what a call is about, for lists of events. Pure."""

from typing import Any

from app.outbox.search import Description


def describe(call: Any) -> Description:
    """The user id of a call, and what happened."""
    if not isinstance(call, dict):
        return Description()
    event = call.get("event")
    action = event.get("action", "") if isinstance(event, dict) else ""
    return Description(call.get("user_id"), str(action or call.get("campaign_id", "")))
