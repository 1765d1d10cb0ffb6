"""Events that are dead or in quarantine, one or all, have another go.

Each act answers with a redirect to a page that says what was done. What cannot be undone is asked
first, on a page of its own.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.formatting import pluralize
from app.inspector.at_once import HEAVY
from app.outbox.batches import Wait, in_batches
from app.outbox.requeue import (
    FORGOTTEN_AFTER,
    WORDS,
    Outcome,
    Requeue,
)

LONGEST = 10.0
"""Seconds that one answer may take; what is left then is told, and done when asked again."""

WHERE = {"dead": "dead", "quarantined": "in quarantine"}

MAY_COUNT_TWICE = (
    "Segment drops repeats for 24 hours only: one that it took after all will count twice."
)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """`/requeue` and `/events/<message_id>/requeue`."""

    @blueprint.post("/events/<message_id>/requeue")
    def requeue_event(message_id: str) -> ResponseReturnValue:
        return _requeue_event(bridge.requeue, message_id, time.time())

    @blueprint.get("/requeue")
    def ask_to_requeue() -> ResponseReturnValue:
        return _ask_about_all(bridge.requeue, _which(request.args), time.time())

    @blueprint.post("/requeue")
    def requeue() -> ResponseReturnValue:
        which = _which(request.form)
        with HEAVY.place():
            outcomes = _requeue_all(bridge.requeue, which, time.time())
        _tell(outcomes, which, bridge.requeue.count(which))
        return redirect(url_for("inspector.stream"), 303)


def _requeue_event(requeue: Requeue, message_id: str, now: float) -> ResponseReturnValue:
    page = url_for("inspector.event", message_id=message_id)
    found = requeue.find(message_id)
    is_old = found and found.state == "dead" and now - found.received_at > FORGOTTEN_AFTER
    if is_old and request.form.get("sure") != "1":
        said = f"It was received more than 24 hours ago. {MAY_COUNT_TWICE}"
        return ask("Send this event again?", [said], "Send it again", back=page)
    outcome = requeue.requeue_one(message_id, now)
    flash(f"The event: {WORDS[outcome]}.", "good" if outcome == "requeued" else "bad")
    if requeue.find(message_id) is None:  # once it can be read, its id is of what it says
        page = url_for("inspector.stream")
    return redirect(page, 303)


def _ask_about_all(requeue: Requeue, which: str, now: float) -> ResponseReturnValue:
    count = requeue.count(which)
    if not count:
        flash(f"No event is {WHERE[which]}.", "good")
        return redirect(url_for("inspector.stream"), 303)
    events = pluralize(count, "event")
    if which == "quarantined":
        said = (
            f"{events} will be read again by today's rules. What can be read is sent; the rest "
            "stays, with today's reasons."
        )
        return ask("Read again all that is in quarantine?", [said], "Read them again", which)
    sentences = [f"{events} will be due at once, with the ids and times they had."]
    if old := requeue.count("dead", received_before=now - FORGOTTEN_AFTER):
        sentences.append(
            f"Received more than 24 hours ago: {pluralize(old, 'event')}. {MAY_COUNT_TWICE}"
        )
    return ask("Send again all that were given up?", sentences, "Send them again", which)


def _requeue_all(requeue: Requeue, which: str, now: float) -> Counter[Outcome]:
    wait = _until(time.monotonic() + LONGEST)
    if which == "quarantined":
        return requeue.requeue_quarantined(now, wait)
    outcomes: Counter[Outcome] = Counter()
    outcomes["requeued"] = sum(in_batches(lambda: requeue.requeue_some_dead(now), wait))
    return outcomes


def _until(deadline: float) -> Wait:
    """Waits as asked, and says to stop once it is later than the deadline."""

    def wait(seconds: float) -> bool:
        time.sleep(seconds)
        return time.monotonic() > deadline

    return wait


def _which(given: Mapping[str, str]) -> str:
    which = given.get("which", "")
    if which not in WHERE:
        abort(400, "Which events? Go back, and choose dead or quarantined ones.")
    return which


def _tell(outcomes: Counter[Outcome], which: str, left: int) -> None:
    for outcome, count in outcomes.items():
        if count:
            kind = "good" if outcome == "requeued" else "message"
            flash(f"{pluralize(count, 'event')}: {WORDS[outcome]}.", kind)
    if not outcomes.total():
        flash(f"No event was {WHERE[which]}.")
    elif left:
        flash(f"{pluralize(left, 'event')} still {WHERE[which]}.")


def ask(question: str, said: Sequence[str], button: str, which: str = "", back: str = "") -> str:
    """A page whose form posts to the URL that it came from, with `sure` and `which`."""
    return render_template(
        "confirm.html",
        question=question,
        said=said,
        button=button,
        fields={"sure": "1", "which": which} if which else {"sure": "1"},
        back=back or url_for("inspector.stream"),
    )
