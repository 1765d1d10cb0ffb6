"""Say what a track call is about, for pages of events. Pure."""

from typing import Any

from app.formatting import read_time
from app.outbox.found import Description, values_in


def describe(call: Any) -> Description:
    """The user id of a track call, the email's subject, and when it happened."""
    if not isinstance(call, dict):
        return Description()
    properties = call.get("properties")
    subject = properties.get("email_subject", "") if isinstance(properties, dict) else ""
    return Description(
        user_id=call.get("userId"),
        title=str(subject),
        happened_at=read_time(call.get("timestamp")),
        words="\n".join(values_in([call.get("userId"), call.get("anonymousId"), properties])),
    )
