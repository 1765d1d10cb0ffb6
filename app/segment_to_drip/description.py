"""Say what a call is about, for pages of events. Pure."""

from typing import Any

from app.formatting import read_time
from app.outbox.found import Description, values_in


def describe(call: Any) -> Description:
    """The user id of a call, what happened, and when."""
    if not isinstance(call, dict):
        return Description()
    event = call.get("event") or call.get("order")
    event = event if isinstance(event, dict) else {}
    about = [call.get(name) for name in ("user_id", "who", "campaign_id", "subscriber")]
    action = " ".join(str(word) for word in (call.get("activity"), event.get("action")) if word)
    return Description(
        user_id=call.get("user_id"),
        title=action or str(call.get("campaign_id", "")),
        happened_at=read_time(event.get("occurred_at")),
        words="\n".join(values_in([*about, event])),
    )
