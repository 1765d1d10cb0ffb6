"""The list of events.

`/events` shows it, `/live/events` its part that refreshes by itself, `/search` finds events, and
`/events.jsonl` downloads them.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.formatting import event_to_values, iso_time
from app.inspector.filters import Filters, read_filters, read_form
from app.inspector.find import ROWS, find_page
from app.inspector.limits import DOWNLOADS
from app.inspector.masking import mask_all
from app.inspector.searches import searches_of
from app.inspector.view import read_view
from app.outbox.search import Event

MOST = 10_000
"""The most events in a download."""

LONGEST = 20.0
"""Seconds after which a download ends that has not found enough events."""


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/events`, `/live/events`, `/search` and `/events.jsonl`."""

    @blueprint.get("/events")
    def stream() -> ResponseReturnValue:
        view = read_view(bridge, request.args, time.time())
        return render_template("stream.html", view=view, most=MOST)

    @blueprint.get("/live/events")
    def live_events() -> ResponseReturnValue:
        view = read_view(bridge, request.args, time.time())
        return render_template("live_events.html", view=view)

    @blueprint.post("/search")
    def search() -> ResponseReturnValue:
        query: dict[str, Any] = read_form(request.form, searches_of(bridge))
        return redirect(url_for("inspector.stream", **query), 303)

    @blueprint.get("/events.jsonl")
    def download() -> ResponseReturnValue:
        return _download(bridge)


def _download(bridge: Bridge) -> Response:
    filters = read_filters(request.args, bridge)
    if filters.errors:
        abort(400, " ".join(filters.errors.values()))
    reveal = request.args.get("reveal") == "1"
    slot = ExitStack()
    slot.enter_context(DOWNLOADS.slot())
    response = Response(_lines(bridge, filters, reveal))
    response.call_on_close(slot.close)
    response.mimetype = "application/x-ndjson"
    response.headers["Content-Disposition"] = 'attachment; filename="events.jsonl"'
    return response


def event_to_json(event: Event, reveal: bool) -> str:
    """Write one event as one line of JSON, with addresses masked unless `reveal`.

    A body in base64 or with NUL bytes may hold addresses that cannot be masked, so it is left out.
    """
    values = event_to_values(asdict(event), iso_time)
    if reveal:
        return json.dumps(values)
    values.pop("raw_base64", None)
    if "\0" in (values["raw"] or ""):
        values["raw"] = None
    return json.dumps(mask_all(values))


def _lines(bridge: Bridge, filters: Filters, reveal: bool) -> Iterator[str]:
    """Yield a line for each event, with one event in memory at a time.

    If it takes too long, the last line says how to download the rest.
    """
    before, left, deadline = None, MOST, time.monotonic() + LONGEST
    now = time.time()
    while left > 0:
        page = find_page(bridge, filters, now, before, min(left, ROWS))
        for event in bridge.search.whole([summary.id for summary in page.events]):
            yield event_to_json(event, reveal) + "\n"
        left -= len(page.events)
        before = page.older
        if before is None:
            return
        if page.searched_back_to is not None and time.monotonic() > deadline:
            until = iso_time(page.searched_back_to)
            yield json.dumps({"incomplete": f"For older ones set “until” to {until}"}) + "\n"
            return
