"""The main page: the list of events, and the state of the bridge.

`/` shows both, and `/live` the parts that refresh by themselves. `/search` finds events, and
`/events.jsonl` downloads them. While no event is kept, `/` is the set-up guide.
"""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.formatting import event_to_values, iso_time
from app.inspector.filters import ROWS, Filters, find_page, read_filters, read_form
from app.inspector.limits import DOWNLOADS
from app.inspector.masking import mask_all
from app.inspector.overview import read_overview
from app.inspector.searches import searches_of
from app.inspector.view import is_first_run, read_view
from app.outbox.search import Event, Search

MOST = 10_000
"""The most events in a download."""

LONGEST = 20.0
"""Seconds after which a download ends that has not found enough events."""


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/`, `/live`, `/search` and `/events.jsonl`."""

    @blueprint.get("/")
    def stream() -> ResponseReturnValue:
        if is_first_run(bridge):
            return _first_run_page(bridge)
        now = time.time()
        view = read_view(bridge, request.args, now)
        overview = read_overview(bridge, view.shown, view.per, now)
        return render_template("stream.html", overview=overview, view=view, most=MOST)

    @blueprint.get("/live")
    def live() -> ResponseReturnValue:
        if is_first_run(bridge):
            return "", 204
        now = time.time()
        view = read_view(bridge, request.args, now)
        overview = read_overview(bridge, view.shown, view.per, now)
        return render_template("live.html", overview=overview, view=view)

    @blueprint.post("/search")
    def search() -> ResponseReturnValue:
        query: dict[str, Any] = read_form(request.form, searches_of(bridge))
        if request.form.get("per") == "hour":
            query["per"] = "hour"
        return redirect(url_for("inspector.stream", **query), 303)

    @blueprint.get("/events.jsonl")
    def download() -> ResponseReturnValue:
        filters, _ = read_filters(request.args, bridge)
        reveal = request.args.get("reveal") == "1"
        slot = ExitStack()
        slot.enter_context(DOWNLOADS.slot())
        response = Response(_lines(bridge.search, filters, reveal))
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


def _lines(search: Search, filters: Filters, reveal: bool) -> Iterator[str]:
    """Yield a line for each event, with one event in memory at a time.

    If it takes too long, the last line says how to download the rest.
    """
    before, left, deadline = None, MOST, time.monotonic() + LONGEST
    while left > 0:
        page = find_page(search, filters, before, min(left, ROWS))
        for event in search.whole([summary.id for summary in page.events]):
            yield event_to_json(event, reveal) + "\n"
        left -= len(page.events)
        before = page.older
        if before is None:
            return
        if page.searched_back_to is not None and time.monotonic() > deadline:
            until = iso_time(page.searched_back_to)
            yield json.dumps({"incomplete": f"For older ones set “until” to {until}"}) + "\n"
            return


def _first_run_page(bridge: Bridge) -> str:
    """Render the set-up guide: the webhook's URL, what to do in Drip, and the write key."""
    settings = bridge.settings
    reveal = request.args.get("reveal") == "1"
    url = url_for("webhook.receive", _external=True)
    url_with_token = url_for("webhook.receive", token=settings.webhook_tokens[0], _external=True)
    return render_template(
        "first_run.html",
        webhook=url_with_token if reveal else f"{url}?token=•••",
        base=request.host_url.rstrip("/"),
        settings=settings,
        reveal=reveal,
    )
