"""What the pages need to know of each direction: its words, its chart, and how fields are traced.

A direction without a look of its own cannot be shown, so each destination has one here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.inspector.trace import FieldTrace, trace_fields
from app.inspector.trace_call import trace_call
from app.outbox.requeue import Translate
from app.outbox.search import Event

Trace = Callable[[Event, Translate], list[FieldTrace]]
"""Returns an event's fields, by means of its direction's `translate`. Raises `NotTraceable`."""


@dataclass(frozen=True)
class Look:
    """How the events of one direction are shown."""

    title: str
    """What an event's title is."""
    key: str
    """What a key is called."""
    set_key: str
    """What to set if an account has none."""
    kinds: Mapping[str, str]
    """Collection → the class of its colour and pattern in the chart, from the bottom of a bar
    upwards."""
    trace: Trace


LOOKS: Mapping[str, Look] = {
    "segment": Look(
        title="Subject",
        key="write key",
        set_key="SEGMENT_WRITE_KEY, or the account's own in SEGMENT_WRITE_KEYS",
        kinds={
            "Email Delivered": "delivered",
            "Email Opened": "opened",
            "Email Link Clicked": "clicked",
            "Email Unsubscribed": "unsubscribed",
            "Email Bounced": "bounced",
            "Email Marked as Spam": "spam",
        },
        trace=lambda event, _: trace_fields(event.raw, event.received_at),
    ),
    "drip": Look(
        title="Event",
        key="token",
        set_key="the account's token in DRIP_API_TOKENS",
        kinds={"identify": "identify", "track": "track", "campaign": "campaign", "alias": "alias"},
        trace=lambda event, translate: trace_call(
            event.raw, lambda body: translate(body, event.received_at, event.account)
        ),
    ),
}
"""The look of each direction, by the name of its destination."""
