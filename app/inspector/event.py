"""`/events/<message_id>` and `/to/<destination>/event`: one event, what came, and what is sent.

The same URLs give parts of it: `?part=now` what may change while the event waits, `?file=sent` and
`?file=received` a body as a file.
"""

import json
import time
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from app.bridge import Bridge
from app.destination import Labels
from app.direction import Direction
from app.formatting import read_reasons
from app.inspector.display import (
    Show,
    ordered,
    raw_to_file,
    raw_to_pretty,
    raw_to_text,
    text_formatter,
    value_to_pretty,
)
from app.inspector.field_mapping import FieldMapping, read_mapping
from app.inspector.limits import DOWNLOADS
from app.inspector.looks import LOOKS
from app.inspector.searches import searches_of
from app.inspector.timeline import Moment, timeline
from app.inspector.urls import action_url, event_url, person_url
from app.monitoring.pauses import read_pauses
from app.monitoring.statement import statement
from app.outbox.search import Description, Event
from app.outbox.status import Status, status_of

GONE = (
    "There is no such event. One goes when its retention time is over, and a rejected one that was "
    "processed again has another id."
)


@dataclass(frozen=True)
class EventPage:
    """The values that `event.html` and `_event_now.html` need."""

    event: Event
    direction: Direction
    described: Description
    now: float
    pause: str | None
    """Why the account's events are paused, if they are."""
    reveal: bool
    is_raw: bool
    """Whether to show bodies as they came, not indented."""

    @property
    def show(self) -> Show:
        """Format text as this page may show it."""
        return text_formatter(self.reveal)

    @property
    def status(self) -> Status:
        """Its status in a word."""
        return status_of(self.event, self.now, self.pause is not None)

    @property
    def statement(self) -> str:
        """What became of it, and what happens next."""
        return statement(self.event, self.now, self.pause, self.direction.destination)

    @property
    def timeline(self) -> list[Moment]:
        """What happened to it, and when."""
        return timeline(self.event, self.described.happened_at, self.status, self.labels)

    @property
    def mapping(self) -> FieldMapping:
        """How each field of the call came to be."""
        return read_mapping(self.event, self.direction)

    @property
    def mapped_by(self) -> str:
        """The mapping that it went through, and of which preset or file that is; "" if none."""
        call = json.loads(self.event.payload or "{}")
        return f"{call['mapping']} ({call['preset']})" if call.get("preset") else ""

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Why it was rejected, as (field, reason) pairs."""
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
        if self.is_raw:
            return self.show(call)
        return value_to_pretty(ordered(json.loads(call)), self.reveal)

    @property
    def call_name(self) -> str:
        """What the heading over the call says."""
        verb = "Sent to" if self.event.state == "sent" else "To send to"
        return f"{verb} {self.labels.destination}"

    @property
    def labels(self) -> Labels:
        """The words for where it came from and goes to."""
        return self.direction.destination.labels

    @property
    def name(self) -> str:
        """What it is called in headings."""
        if self.event.state == "quarantined":
            return "Rejected webhook"
        return self.event.collection or "Event"

    @property
    def title_name(self) -> str:
        """What its title is."""
        return LOOKS[self.event.destination].title

    @property
    def actions(self) -> list[tuple[str, str]]:
        """What can be done with it: verbs, and the words for their buttons."""
        event = self.event
        if event.state in ("dead", "expired", "quarantined"):
            dismiss = [] if event.dismissed_at else [("dismiss", "Dismiss")]
            return [("retry", "Retry"), *dismiss]
        is_later = event.state == "pending" and event.reason and event.due_at > self.now
        return [("retry", "Retry now")] if is_later and not event.lease else []

    def with_changes(self, **changes: Any) -> str:
        """Return this page's URL with some parameters changed. None removes one."""
        query = {"reveal": "1" if self.reveal else None, "view": "raw" if self.is_raw else None}
        return event_url(self.event.destination, self.event.message_id, **query | changes)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/events/<message_id>` and `/to/<destination>/event`, and the same with `/person`,
    which lists all events of the event's person."""
    for url in (event_url, person_url, action_url):
        blueprint.add_app_template_global(url)

    @blueprint.get("/events/<message_id>")
    def event(message_id: str) -> ResponseReturnValue:
        return _answer(bridge, bridge.drip_to_segment, message_id)

    @blueprint.get("/to/<to>/event")
    def event_to(to: str) -> ResponseReturnValue:
        return _answer(bridge, _direction_to(bridge, to), request.args.get("id", ""))

    @blueprint.get("/events/<message_id>/person")
    def person(message_id: str) -> ResponseReturnValue:
        return _list_person(bridge, bridge.drip_to_segment, message_id)

    @blueprint.get("/to/<to>/person")
    def person_to(to: str) -> ResponseReturnValue:
        return _list_person(bridge, _direction_to(bridge, to), request.args.get("id", ""))


def _direction_to(bridge: Bridge, destination: str) -> Direction:
    direction = bridge.direction_to(destination)
    if direction is None:
        abort(404, GONE)
    return direction


def _find(bridge: Bridge, direction: Direction, message_id: str) -> Event:
    event = bridge.search.one(message_id, direction.destination.name)
    if event is None:
        abort(404, GONE)
    return event


def _answer(bridge: Bridge, direction: Direction, message_id: str) -> ResponseReturnValue:
    event = _find(bridge, direction, message_id)
    page = EventPage(
        event=event,
        direction=direction,
        described=bridge.search.describe(event),
        now=time.time(),
        pause=read_pauses([direction.watched]).get((event.destination, event.account)),
        reveal=request.args.get("reveal") == "1",
        is_raw=request.args.get("view") == "raw",
    )
    if request.args.get("part") == "now":
        return _unless_known(render_template("_event_now.html", page=page))
    if "file" in request.args:
        return _file(page, request.args["file"])
    return render_template("event.html", page=page)


def _unless_known(html: str) -> Response:
    """The part, or a 304 if the browser has it already. Its forms' token differs each time."""
    response = make_response(html)
    response.set_etag(sha256(html.replace(generate_csrf(), "").encode()).hexdigest())
    response.make_conditional(request)
    return response


def _file(page: EventPage, name: str) -> Response:
    """A body, whole."""
    bodies = {"received": page.event.raw, "sent": (page.event.payload or "").encode()}
    if name not in bodies:
        abort(404, "An event has two files: “received” and “sent”.")
    with DOWNLOADS.slot():
        body = raw_to_file(bodies[name], page.reveal)
    file_name = f"event-{page.event.id}-{name}.json"
    response = Response(body, mimetype="application/octet-stream")
    response.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response


def _list_person(bridge: Bridge, direction: Direction, message_id: str) -> ResponseReturnValue:
    """Redirect to the list. The address is in the database, not in a URL."""
    event = _find(bridge, direction, message_id)
    person = event.email or bridge.search.describe(event).user_id
    if not person:
        abort(404, "This event names no person.")
    return redirect(url_for("inspector.stream", q=searches_of(bridge).save(person)), 303)
