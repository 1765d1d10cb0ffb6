"""Say what a track call is about, for lists of events. Pure."""

from typing import Any

from app.outbox.search import Description


def describe(call: Any) -> Description:
    """The user id of a track call, and the email's subject."""
    if not isinstance(call, dict):
        return Description()
    properties = call.get("properties")
    subject = properties.get("email_subject", "") if isinstance(properties, dict) else ""
    return Description(call.get("userId"), str(subject))
