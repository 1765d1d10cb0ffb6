"""`/events/<message_id>` and `/to/<destination>/event`: one event, what came, and what is sent."""

import json
import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.destination import Labels
from app.direction import Direction
from app.formatting import read_reasons
from app.inspector.display import (
    Show,
    raw_to_pretty,
    raw_to_text,
    text_formatter,
    value_to_pretty,
)
from app.inspector.looks import LOOKS
from app.inspector.status import what_next
from app.inspector.trace import FieldTrace, NotTraceable
from app.inspector.urls import event_url, requeue_url
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.messages import Attempt, Message, read_history
from app.outbox.search import Description, Event

GONE = (
    "There is no such event. One goes when its retention time is over, and one that was read again "
    "has another id."
)

MOST_TRACES = 300
"""Rows of the table of fields: a profile may have thousands."""

LARGEST_TRACED = 128 * 1024
"""The largest body, in bytes, whose fields are traced. That takes 50 ms."""


@dataclass(frozen=True)
class EventPage:
    """The values that `event.html` needs."""

    event: Event
    direction: Direction
    described: Description
    now: float
    reveal: bool
    is_raw: bool
    """Whether to show bodies as they came, not indented."""
    next: str
    attempts: list[Attempt]
    traces: list[FieldTrace]
    trace_note: str
    """Why there are no traces, or a note about them."""

    @property
    def show(self) -> Show:
        """Format text as this page may show it."""
        return text_formatter(self.reveal)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Why it is in quarantine, as (field, reason) pairs."""
        return read_reasons(self.event.error) if self.event.state == "quarantined" else []

    @property
    def received_body(self) -> str:
        """What the source sent."""
        to_text = raw_to_text if self.is_raw else raw_to_pretty
        return to_text(self.event.raw, self.reveal)

    @property
    def sent_body(self) -> str:
        """What the destination gets."""
        call = self.event.payload or ""
        return self.show(call) if self.is_raw else value_to_pretty(json.loads(call), self.reveal)

    @property
    def labels(self) -> Labels:
        """The words for where it came from and goes to."""
        return self.direction.destination.labels

    @property
    def title_name(self) -> str:
        """What its title is."""
        return LOOKS[self.event.destination].title

    def with_changes(self, **changes: Any) -> str:
        """Return this page's URL with some parameters changed. None removes one."""
        query = {"reveal": "1" if self.reveal else None, "view": "raw" if self.is_raw else None}
        return event_url(self.event.destination, self.event.message_id, **query | changes)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/events/<message_id>` and `/to/<destination>/event`."""
    blueprint.add_app_template_global(event_url)
    blueprint.add_app_template_global(requeue_url)

    @blueprint.get("/events/<message_id>")
    def event(message_id: str) -> ResponseReturnValue:
        return _page(bridge, bridge.drip_to_segment, message_id)

    @blueprint.get("/to/<to>/event")
    def event_to(to: str) -> ResponseReturnValue:
        direction = bridge.direction_to(to)
        if direction is None:
            abort(404, GONE)
        return _page(bridge, direction, request.args.get("id", ""))


def _page(bridge: Bridge, direction: Direction, message_id: str) -> str:
    kept = bridge.search.one(message_id, direction.destination.name)
    if kept is None:
        abort(404, GONE)
    now = time.time()
    traces, trace_note = _trace(kept, direction)
    page = EventPage(
        event=kept,
        direction=direction,
        described=bridge.search.describe(kept),
        now=now,
        reveal=request.args.get("reveal") == "1",
        is_raw=request.args.get("view") == "raw",
        next=what_next(kept, now, _pause_reason(direction, kept.account), direction.destination),
        attempts=read_history(kept.history),
        traces=traces,
        trace_note=trace_note,
    )
    return render_template("event.html", page=page)


def _trace(event: Event, direction: Direction) -> tuple[list[FieldTrace], str]:
    if not event.payload:
        return [], ""
    if len(event.raw) > LARGEST_TRACED:
        return [], "The fields' way cannot be shown: the body is too long."
    try:
        traces = LOOKS[event.destination].trace(event, direction.translate)
    except NotTraceable as error:
        return [], f"The fields' way cannot be shown: the event is {error}."
    if len(traces) > MOST_TRACES:
        return traces[:MOST_TRACES], f"The first {MOST_TRACES} of {len(traces):,} fields."
    if json.loads(event.payload) not in _todays_calls(event, direction):
        return traces, "The call was made by another version of the bridge: this is today's way."
    return traces, ""


def _todays_calls(event: Event, direction: Direction) -> list[Any]:
    """The calls that today's rules make of the event's body."""
    today = direction.translate(event.raw, event.received_at, event.account)
    messages = (today, *today.follow_ups) if isinstance(today, Message) else ()
    return [json.loads(message.payload) for message in messages if message.payload]


def _pause_reason(direction: Direction, account: str) -> str | None:
    """Return why the account's events are paused, or None if they are not."""
    try:
        pauses = direction.stats.latest().pauses
    except StatsUnavailable:
        return None
    return next((pause.reason for pause in pauses if pause.account == account), None)
