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
from app.drip_to_segment.destination import SegmentDestination
from app.formatting import pluralize
from app.inspector.limits import HEAVY
from app.outbox.batches import Wait, in_batches
from app.outbox.requeue import (
    WORDS,
    Outcome,
    Requeue,
)

LONGEST = 10.0
"""Seconds that one request may take. The page then reports what is left, to be done again."""

STATE_WORDS = {"dead": "dead", "quarantined": "in quarantine"}

REPEATS_WARNING = (
    "Segment drops repeats for 24 hours only: one that it took after all will count twice."
)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/requeue` and `/events/<message_id>/requeue`."""

    @blueprint.post("/events/<message_id>/requeue")
    def requeue_event(message_id: str) -> ResponseReturnValue:
        return _requeue_event(bridge.drip_to_segment.requeue, message_id, time.time())

    @blueprint.get("/requeue")
    def ask_to_requeue() -> ResponseReturnValue:
        return _confirm_all(bridge.drip_to_segment.requeue, _which(request.args), time.time())

    @blueprint.post("/requeue")
    def requeue() -> ResponseReturnValue:
        which = _which(request.form)
        with HEAVY.slot():
            outcomes = _requeue_all(bridge.drip_to_segment.requeue, which, time.time())
        _flash_outcomes(outcomes, which, bridge.drip_to_segment.requeue.count(which))
        return redirect(url_for("inspector.stream"), 303)


def _requeue_event(requeue: Requeue, message_id: str, now: float) -> ResponseReturnValue:
    page = url_for("inspector.event", message_id=message_id)
    kept = requeue.find(message_id)
    is_old = (
        kept and kept.state == "dead" and now - kept.received_at > SegmentDestination.dedupe_window
    )
    if is_old and request.form.get("sure") != "1":
        warning = f"It was received more than 24 hours ago. {REPEATS_WARNING}"
        return confirm_page("Send this event again?", [warning], "Send it again", back=page)
    outcome = requeue.requeue_one(message_id, now)
    flash(f"The event: {WORDS[outcome]}.", "good" if outcome == "requeued" else "bad")
    if requeue.find(message_id) is None:  # an event that can now be read has another id
        page = url_for("inspector.stream")
    return redirect(page, 303)


def _confirm_all(requeue: Requeue, which: str, now: float) -> ResponseReturnValue:
    count = requeue.count(which)
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
    if old := requeue.count("dead", received_before=now - SegmentDestination.dedupe_window):
        sentences.append(
            f"Received more than 24 hours ago: {pluralize(old, 'event')}. {REPEATS_WARNING}"
        )
    return confirm_page("Send again all that were given up?", sentences, "Send them again", which)


def _requeue_all(requeue: Requeue, which: str, now: float) -> Counter[Outcome]:
    wait = _wait_until(time.monotonic() + LONGEST)
    if which == "quarantined":
        return requeue.requeue_quarantined(now, wait)
    outcomes: Counter[Outcome] = Counter()
    outcomes["requeued"] = sum(in_batches(lambda: requeue.requeue_some_dead(now), wait))
    return outcomes


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
