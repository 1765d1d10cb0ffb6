"""Requeue one event or all that are dead or in quarantine.

Each action redirects to a page that reports what was done. What cannot be undone is confirmed
first, on a page of its own.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import pluralize
from app.inspector.limits import HEAVY
from app.inspector.urls import event_url
from app.outbox.batches import Wait, in_batches
from app.outbox.repeats import drops_repeats, may_count_twice, received_before_window
from app.outbox.requeue import WORDS, Outcome

LONGEST = 10.0
"""Seconds that one request may take. The page then reports what is left, to be done again."""

STATE_WORDS = {"dead": "dead", "quarantined": "in quarantine"}


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/requeue`, and `/events/<message_id>/requeue` and `/to/<destination>/requeue` for
    one event."""

    @blueprint.post("/events/<message_id>/requeue")
    def requeue_event(message_id: str) -> ResponseReturnValue:
        return _requeue_event(bridge.drip_to_segment, message_id, time.time())

    @blueprint.post("/to/<to>/requeue")
    def requeue_event_to(to: str) -> ResponseReturnValue:
        (direction,) = _directions(bridge, to)
        return _requeue_event(direction, request.args.get("id", ""), time.time())

    @blueprint.get("/requeue")
    def ask_to_requeue() -> ResponseReturnValue:
        directions = _directions(bridge, request.args.get("to", ""))
        return _confirm_all(directions, _which(request.args), time.time())

    @blueprint.post("/requeue")
    def requeue() -> ResponseReturnValue:
        directions, which = _directions(bridge, request.args.get("to", "")), _which(request.form)
        with HEAVY.slot():
            outcomes = _requeue_all(directions, which, time.time())
        _flash_outcomes(outcomes, which, _count(directions, which))
        return redirect(url_for("inspector.stream"), 303)


def _directions(bridge: Bridge, to: str) -> Sequence[Direction]:
    """The direction to this destination, or all if it is ""."""
    if not to:
        return bridge.directions
    direction = bridge.direction_to(to)
    if direction is None:
        abort(400, "This bridge sends nothing there.")
    return (direction,)


def _requeue_event(direction: Direction, message_id: str, now: float) -> ResponseReturnValue:
    requeue, destination = direction.requeue, direction.destination
    page = event_url(destination.name, message_id)
    kept = requeue.find(message_id)
    is_old = kept and kept.state == "dead" and may_count_twice(destination, kept.received_at, now)
    if is_old and request.form.get("sure") != "1":
        when = received_before_window(destination)
        age = f"It was received {when}. " if when else ""
        warning = f"{age}{drops_repeats(destination)}"
        return confirm_page("Send this event again?", [warning], "Send it again", back=page)
    outcome = requeue.requeue_one(message_id, now)
    flash(f"The event: {WORDS[outcome]}.", "good" if outcome == "requeued" else "bad")
    if requeue.find(message_id) is None:  # an event that can now be read has another id
        page = url_for("inspector.stream")
    return redirect(page, 303)


def _confirm_all(directions: Sequence[Direction], which: str, now: float) -> ResponseReturnValue:
    count = _count(directions, which)
    if not count:
        flash(f"No event is {STATE_WORDS[which]}.", "good")
        return redirect(url_for("inspector.stream"), 303)
    events = pluralize(count, "event")
    if which == "quarantined":
        sentence = (
            f"{events} will be read again by today's rules. What can be read is sent; the rest "
            "stays, with today's reasons."
        )
        return confirm_page(
            "Read again all that is in quarantine?", [sentence], "Read them again", which
        )
    sentences = [f"{events} will be due at once, with the ids and times they had."]
    for direction in directions:
        destination = direction.destination
        if old := direction.requeue.count("dead", now - destination.dedupe_window):
            when = received_before_window(destination)
            which_ones = f"Received {when}" if when else f"To {destination.labels.destination}"
            repeats = drops_repeats(destination)
            sentences.append(f"{which_ones}: {pluralize(old, 'event')}. {repeats}")
    return confirm_page("Send again all that were given up?", sentences, "Send them again", which)


def _count(directions: Sequence[Direction], which: str) -> int:
    return sum(direction.requeue.count(which) for direction in directions)


def _requeue_all(directions: Sequence[Direction], which: str, now: float) -> Counter[Outcome]:
    wait = _wait_until(time.monotonic() + LONGEST)
    outcomes: Counter[Outcome] = Counter()
    for direction in directions:
        if which == "quarantined":
            outcomes += direction.requeue.requeue_quarantined(now, wait)
        else:
            outcomes["requeued"] += _requeue_dead(direction, now, wait)
    return outcomes


def _requeue_dead(direction: Direction, now: float, wait: Wait) -> int:
    return sum(in_batches(lambda: direction.requeue.requeue_some_dead(now), wait))


def _wait_until(deadline: float) -> Wait:
    """Return a function that waits, and that returns True once the deadline has passed."""

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return time.monotonic() > deadline

    return wait


def _which(values: Mapping[str, str]) -> str:
    which = values.get("which", "")
    if which not in STATE_WORDS:
        abort(400, "Which events? Go back, and choose dead or quarantined ones.")
    return which


def _flash_outcomes(outcomes: Counter[Outcome], which: str, left: int) -> None:
    for outcome, count in outcomes.items():
        if count:
            kind = "good" if outcome == "requeued" else "message"
            flash(f"{pluralize(count, 'event')}: {WORDS[outcome]}.", kind)
    if not outcomes.total():
        flash(f"No event was {STATE_WORDS[which]}.")
    elif left:
        flash(f"{pluralize(left, 'event')} still {STATE_WORDS[which]}.")


def confirm_page(
    question: str, sentences: Sequence[str], button: str, which: str = "", back: str = ""
) -> str:
    """Render a page whose form posts to its own URL, with `sure` and `which`."""
    return render_template(
        "confirm.html",
        question=question,
        sentences=sentences,
        button=button,
        fields={"sure": "1", "which": which} if which else {"sure": "1"},
        back=back or url_for("inspector.stream"),
    )
