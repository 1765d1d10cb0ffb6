"""The URLs of events. Those to Segment are named by their message id alone.

The message ids of the other direction are the sender's, and may have slashes and dots, which
browsers and proxies change within a path. So they are in the query.
"""

from typing import Any

from flask import url_for

PLAIN = "segment"
"""The destination whose events have the shorter URLs."""


def event_url(destination: str, message_id: str, **query: Any) -> str:
    """The URL of an event's page."""
    if destination == PLAIN:
        return url_for("inspector.event", message_id=message_id, **query)
    return url_for("inspector.event_to", to=destination, id=message_id, **query)


def requeue_url(destination: str, message_id: str) -> str:
    """The URL to post to so that an event is requeued."""
    if destination == PLAIN:
        return url_for("inspector.requeue_event", message_id=message_id)
    return url_for("inspector.requeue_event_to", to=destination, id=message_id)
