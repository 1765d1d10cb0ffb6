"""What the pages need to know of each direction: its words, and how fields are traced.

A direction without a look of its own cannot be shown, so each destination has one here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.inspector.trace import FieldTrace, trace_fields
from app.inspector.trace_call import trace_call
from app.outbox.retranslation import Translate
from app.outbox.search import Event

Trace = Callable[[Event, Translate], list[FieldTrace]]
"""Returns an event's fields, by means of its direction's `translate`. Raises `NotTraceable`."""


@dataclass(frozen=True)
class Look:
    """How the events of one direction are shown."""

    title: str
    """What an event's title is."""
    trace: Trace


LOOKS: Mapping[str, Look] = {
    "segment": Look(
        title="Subject",
        trace=lambda event, _: trace_fields(event.raw, event.received_at),
    ),
    "drip": Look(
        title="Event",
        trace=lambda event, translate: trace_call(
            event.raw, lambda body: translate(body, event.received_at, event.account)
        ),
    ),
}
"""The look of each direction, by the name of its destination."""
