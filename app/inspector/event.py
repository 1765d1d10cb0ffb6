"""`/events/<message_id>`: one event, from what Drip sent to what Segment gets."""

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
    shower,
    value_to_pretty,
)
from app.inspector.status import what_next
from app.inspector.trace import NotFollowed, Way, follow
from app.inspector.view import search_of
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.messages import Attempt, Message, read_history
from app.outbox.search import Event

GONE = (
    "There is no such event. One goes when its retention time is over, and one that was read again "
    "has another id."
)

MOST_WAYS = 300
"""Rows: a profile may have thousands of fields."""

MOST_FOLLOWED = 128 * 1024
"""Bytes of a body whose fields are followed: that takes 50 ms."""


@dataclass(frozen=True)
class EventPage:
    """What `event.html` needs."""

    event: Event
    now: float
    reveal: bool
    as_it_came: bool
    """Raw instead of pretty."""
    next: str
    attempts: list[Attempt]
    ways: list[Way]
    not_followed: str
    """Why there are no ways, or what is to be said of them."""

    @property
    def show(self) -> Show:
        """Text as this page may show it."""
        return shower(self.reveal)

    @property
    def reasons(self) -> list[tuple[str, str]]:
        """Why it is in quarantine, field by field."""
        return read_reasons(self.event.error) if self.event.state == "quarantined" else []

    @property
    def came(self) -> str:
        """What Drip sent."""
        as_text = raw_to_text if self.as_it_came else raw_to_pretty
        return as_text(self.event.raw, self.reveal)

    @property
    def goes(self) -> str:
        """What Segment gets."""
        call = self.event.payload or ""
        return (
            self.show(call) if self.as_it_came else value_to_pretty(json.loads(call), self.reveal)
        )

    def but(self, **changes: Any) -> dict[str, Any]:
        """This page's query with some parameters changed; None leaves one out."""
        query = {"reveal": "1" if self.reveal else None, "view": "raw" if self.as_it_came else None}
        return {"message_id": self.event.message_id} | query | changes


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """`/events/<message_id>`."""

    @blueprint.get("/events/<message_id>")
    def event(message_id: str) -> ResponseReturnValue:
        found = search_of(bridge).one(message_id)
        if found is None:
            abort(404, GONE)
        now = time.time()
        ways, not_followed = _ways(found)
        page = EventPage(
            event=found,
            now=now,
            reveal=request.args.get("reveal") == "1",
            as_it_came=request.args.get("view") == "raw",
            next=what_next(found, now, _pause(bridge, found.account), bridge.segment),
            attempts=read_history(found.history),
            ways=ways,
            not_followed=not_followed,
        )
        return render_template("event.html", page=page)


def _ways(event: Event) -> tuple[list[Way], str]:
    if not event.payload:
        return [], ""
    if len(event.raw) > MOST_FOLLOWED:
        return [], "The fields' way cannot be shown: the body is too long."
    try:
        ways = follow(event.raw, event.received_at)
    except NotFollowed as error:
        return [], f"The fields' way cannot be shown: the event is {error}."
    if len(ways) > MOST_WAYS:
        return ways[:MOST_WAYS], f"The first {MOST_WAYS} of {len(ways):,} fields."
    today = translate(event.raw, event.received_at)
    payload = (isinstance(today, Message) and today.payload) or "null"
    if json.loads(payload) != json.loads(event.payload):
        return ways, "The call was made by another version of the bridge: this is today's way."
    return ways, ""


def _pause(bridge: Bridge, account: str) -> str | None:
    """Why the account's key rests, if it does."""
    try:
        pauses = bridge.stats.latest().pauses
    except StatsUnavailable:
        return None
    return next((pause.reason for pause in pauses if pause.account == account), None)
