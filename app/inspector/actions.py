"""Retry or dismiss events: one, or all that a list shows.

Each action redirects to the page that it was asked on, which reports what was done. If events may
count twice at the destination, a page of its own asks first.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import pluralize
from app.inspector.filters import read_filters
from app.inspector.find import to_wanted
from app.inspector.limits import HEAVY
from app.inspector.session import own_path, path_of
from app.inspector.urls import event_url
from app.outbox.batches import Wait
from app.outbox.outcomes import WORDS, Outcome
from app.outbox.repeats import drops_repeats, may_count_twice
from app.outbox.search import Wanted

LONGEST = 10.0
"""Seconds that one request may take. What is left then is to be done again."""


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/retry` and `/dismiss`, which take the parameters of the list of events, and
    `/events/<message_id>/retry` and `/to/<destination>/retry` for one event, and so for dismiss."""
    blueprint.add_app_template_global(_here, "here")

    @blueprint.post("/retry")
    def retry() -> ResponseReturnValue:
        wanted, now = _wanted(bridge), time.time()
        if request.form.get("sure") != "1" and (warnings := list(_warnings(bridge, wanted, now))):
            count, _ = bridge.bulk.count_retriable(wanted, now)
            return confirm_page(f"Retry {pluralize(count, 'event')}?", warnings, "Retry")
        with HEAVY.slot():
            outcomes = bridge.bulk.retry(wanted, now, _wait_until(time.monotonic() + LONGEST))
        _count_anew(bridge)
        _flash_outcomes(outcomes)
        return redirect(_back(), 303)

    @blueprint.post("/dismiss")
    def dismiss() -> ResponseReturnValue:
        with HEAVY.slot():
            wait = _wait_until(time.monotonic() + LONGEST)
            dismissed = bridge.bulk.dismiss(_wanted(bridge), time.time(), wait)
        _count_anew(bridge)
        flash(f"{pluralize(dismissed, 'event')} dismissed.", "good")
        return redirect(_back(), 303)

    @blueprint.post("/events/<message_id>/retry")
    def retry_event(message_id: str) -> ResponseReturnValue:
        return _retry_event(bridge.drip_to_segment, message_id, time.time())

    @blueprint.post("/to/<to>/retry")
    def retry_event_to(to: str) -> ResponseReturnValue:
        return _retry_event(_direction(bridge, to), request.args.get("id", ""), time.time())

    @blueprint.post("/events/<message_id>/dismiss")
    def dismiss_event(message_id: str) -> ResponseReturnValue:
        return _dismiss_event(bridge.drip_to_segment, message_id, time.time())

    @blueprint.post("/to/<to>/dismiss")
    def dismiss_event_to(to: str) -> ResponseReturnValue:
        return _dismiss_event(_direction(bridge, to), request.args.get("id", ""), time.time())


def _here() -> str:
    """The path of the page that is shown, also while only a part of it is fetched anew."""
    path = path_of(request)
    for part, page in (("/live/overview", "/"), ("/live/events", "/events")):
        path = path.replace(part, page, 1) if path.startswith(part) else path
    return path


def _count_anew(bridge: Bridge) -> None:
    for direction in bridge.directions:
        direction.stats.forget()


def _direction(bridge: Bridge, to: str) -> Direction:
    direction = bridge.direction_to(to)
    if direction is None:
        abort(400, "This bridge sends nothing there.")
    return direction


def _wanted(bridge: Bridge) -> Wanted:
    """What the parameters ask for. A wrong one must not turn into all events."""
    filters = read_filters(request.args, bridge)
    if filters.errors:
        abort(400, " ".join(filters.errors.values()))
    found = to_wanted(bridge, filters, time.time())
    if len(found) != 1 or not (filters.state or filters.issue or filters.q):
        abort(400, "Choose a status or an issue, or search for an address, before you act on all.")
    return found[0]


def _warnings(bridge: Bridge, wanted: Wanted, now: float) -> Iterator[str]:
    """A sentence for each destination at which events may count twice."""
    for direction in bridge.directions:
        destination = direction.destination
        if count := bridge.bulk.count_repeatable(wanted, destination, now):
            yield f"{pluralize(count, 'event')}: {drops_repeats(destination)}"


def _retry_event(direction: Direction, message_id: str, now: float) -> ResponseReturnValue:
    requeue, destination = direction.requeue, direction.destination
    kept = requeue.find(message_id)
    is_old = kept and kept.state == "dead" and may_count_twice(destination, kept.received_at, now)
    if is_old and request.form.get("sure") != "1":
        return confirm_page("Retry this event?", [drops_repeats(destination)], "Retry")
    outcome = requeue.one(message_id, now)
    direction.stats.forget()
    flash(f"{WORDS[outcome].capitalize()}.", "good" if outcome == "requeued" else "bad")
    page = event_url(destination.name, message_id)
    if requeue.find(message_id) is None:  # an event that can now be read has another id
        page = url_for("inspector.stream")
    return redirect(page, 303)


def _dismiss_event(direction: Direction, message_id: str, now: float) -> ResponseReturnValue:
    kept = direction.requeue.find(message_id)
    direction.stats.forget()
    if kept and direction.requeue.dismiss([kept.id], now):
        flash("Dismissed: it no longer counts as an issue.", "good")
    else:
        flash("Nothing to dismiss: it has not failed, or was dismissed already.")
    return redirect(event_url(direction.destination.name, message_id), 303)


def _back() -> str:
    return own_path(request.form.get("next"))


def _wait_until(deadline: float) -> Wait:
    """Return a function that waits, and that returns True once the deadline has passed."""

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return time.monotonic() > deadline

    return wait


def _flash_outcomes(outcomes: Counter[Outcome]) -> None:
    for outcome, count in outcomes.items():
        flash(
            f"{pluralize(count, 'event')}: {WORDS[outcome]}.",
            "good" if outcome == "requeued" else "message",
        )
    if not outcomes:
        flash("No event matches any more.")


def confirm_page(question: str, sentences: Sequence[str], button: str, back: str = "") -> str:
    """Render a page whose form posts to its own URL, with `sure`."""
    back = back or own_path(request.form.get("next"))
    return render_template(
        "confirm.html",
        question=question,
        sentences=sentences,
        button=button,
        fields={"sure": "1", "next": back},
        back=back,
    )
