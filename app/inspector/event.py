"""`/events/<message_id>`: one event, with what Drip sent and what Segment gets."""

import json
import time
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.drip_to_segment.translate import translate
from app.formatting import read_reasons
from app.inspector.display import (
    Show,
    raw_to_pretty,
    raw_to_text,
    text_formatter,
    value_to_pretty,
)
from app.inspector.status import what_next
from app.inspector.trace import FieldTrace, NotTraceable, trace_fields
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
        """What Drip sent."""
        to_text = raw_to_text if self.is_raw else raw_to_pretty
        return to_text(self.event.raw, self.reveal)

    @property
    def sent_body(self) -> str:
        """What Segment gets."""
        call = self.event.payload or ""
        return self.show(call) if self.is_raw else value_to_pretty(json.loads(call), self.reveal)

    def with_changes(self, **changes: Any) -> dict[str, Any]:
        """Return this page's parameters with some of them changed. None removes one."""
        query = {"reveal": "1" if self.reveal else None, "view": "raw" if self.is_raw else None}
        return {"message_id": self.event.message_id} | query | changes


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/events/<message_id>`."""

    @blueprint.get("/events/<message_id>")
    def event(message_id: str) -> ResponseReturnValue:
        kept = bridge.search.one(message_id)
        if kept is None:
            abort(404, GONE)
        now, segment = time.time(), bridge.drip_to_segment.destination
        traces, trace_note = _trace(kept)
        page = EventPage(
            event=kept,
            described=bridge.search.describe(kept),
            now=now,
            reveal=request.args.get("reveal") == "1",
            is_raw=request.args.get("view") == "raw",
            next=what_next(kept, now, _pause_reason(bridge, kept.account), segment),
            attempts=read_history(kept.history),
            traces=traces,
            trace_note=trace_note,
        )
        return render_template("event.html", page=page)


def _trace(event: Event) -> tuple[list[FieldTrace], str]:
    if not event.payload:
        return [], ""
    if len(event.raw) > LARGEST_TRACED:
        return [], "The fields' way cannot be shown: the body is too long."
    try:
        traces = trace_fields(event.raw, event.received_at)
    except NotTraceable as error:
        return [], f"The fields' way cannot be shown: the event is {error}."
    if len(traces) > MOST_TRACES:
        return traces[:MOST_TRACES], f"The first {MOST_TRACES} of {len(traces):,} fields."
    today = translate(event.raw, event.received_at)
    payload = (isinstance(today, Message) and today.payload) or "null"
    if json.loads(payload) != json.loads(event.payload):
        return traces, "The call was made by another version of the bridge: this is today's way."
    return traces, ""


def _pause_reason(bridge: Bridge, account: str) -> str | None:
    """Return why the account's events are paused, or None if they are not."""
    try:
        pauses = bridge.drip_to_segment.stats.latest().pauses
    except StatsUnavailable:
        return None
    return next((pause.reason for pause in pauses if pause.account == account), None)
