"""The field mapping of one event: what was sent, what the bridge added, and what was not sent."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.direction import Direction
from app.inspector.looks import LOOKS
from app.inspector.trace import PROFILE, FieldTrace, NotTraceable
from app.outbox.messages import Message
from app.outbox.search import Event

MOST_TRACES = 300
"""Rows of the table of fields: a profile may have thousands."""

LARGEST_TRACED = 128 * 1024
"""The largest body, in bytes, whose fields are traced. That takes 50 ms."""


@dataclass(frozen=True)
class FieldMapping:
    """The fields of one event."""

    traces: tuple[FieldTrace, ...] = ()
    note: str = ""
    """Why there are no traces, or a note about them."""

    @property
    def in_call(self) -> list[FieldTrace]:
        """Those that have a place in the call: sent, or added by the bridge."""
        return [trace for trace in self.traces if trace.targets]

    @property
    def not_sent(self) -> list[FieldTrace]:
        """Those that have none."""
        return [trace for trace in self.traces if not trace.targets]

    @property
    def summary(self) -> str:
        """`10 sent · 8 added by the bridge · 16 profile fields not sent`."""
        return " · ".join(self._counts())

    def _counts(self) -> Iterator[str]:
        added = sum(not trace.source for trace in self.in_call)
        profile = sum(trace.change == PROFILE for trace in self.not_sent)
        yield f"{len(self.in_call) - added} sent"
        if added:
            yield f"{added} added by the bridge"
        if profile:
            yield f"{profile} profile fields not sent"
        if others := len(self.not_sent) - profile:
            yield f"{others} {'other ' if profile else ''}not sent"


def read_mapping(event: Event, direction: Direction) -> FieldMapping:
    """Trace the fields of an event, if that can be done."""
    if not event.payload:
        return FieldMapping()
    if len(event.raw) > LARGEST_TRACED:
        return FieldMapping(note="It cannot be shown: the body is too long.")
    try:
        traces = LOOKS[event.destination].trace(event, direction.translate)
    except NotTraceable as error:
        return FieldMapping(note=f"It cannot be shown: the event is {error}.")
    note = ""
    if len(traces) > MOST_TRACES:
        note = f"The first {MOST_TRACES} of {len(traces):,} fields."
    else:
        note = _note_on(json.loads(event.payload), _todays_calls(event, direction))
    return FieldMapping(tuple(traces[:MOST_TRACES]), note)


def _note_on(kept: Any, todays: Sequence[Any]) -> str:
    """What is to be said of a call that is not quite one of those that today's rules make."""
    same = next((call for call in todays if {**kept, **call} == kept), None)
    if same is None:
        return "The call was made by another version of the bridge: this is today's mapping."
    found = ", ".join(kept.keys() - same.keys())
    return found and f"Added when the bridge knew whose call it is: {found}."


def _todays_calls(event: Event, direction: Direction) -> list[Any]:
    """The calls that today's rules make of the event's body."""
    today = direction.translate(event.raw, event.received_at, event.account)
    messages = today.together if isinstance(today, Message) else ()
    return [json.loads(message.payload) for message in messages if message.payload]
