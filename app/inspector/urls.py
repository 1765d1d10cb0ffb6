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
    return _url("event", destination, message_id, **query)


def person_url(destination: str, message_id: str) -> str:
    """The URL of the list of all events of an event's person."""
    return _url("person", destination, message_id)


def action_url(verb: str, destination: str, message_id: str) -> str:
    """The URL to post to so that an event is retried or dismissed. `verb` is "retry" or
    "dismiss"."""
    return _url(f"{verb}_event", destination, message_id)


def _url(endpoint: str, destination: str, message_id: str, **query: Any) -> str:
    if destination == PLAIN:
        return url_for(f"inspector.{endpoint}", message_id=message_id, **query)
    return url_for(f"inspector.{endpoint}_to", to=destination, id=message_id, **query)
