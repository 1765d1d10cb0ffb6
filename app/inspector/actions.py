"""Events that are dead or in quarantine, one or all, have another go.

Each act answers with a redirect to a page that says what was done. What cannot be undone is asked
first, on a page of its own.
"""

import time
from collections import Counter
from collections.abc import Mapping

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.inspector.asking import ask, events_in_words
from app.inspector.at_once import HEAVY
from app.outbox.correction import FORGOTTEN_AFTER, Correction
from app.outbox.pace import Wait, in_steps
from app.requeue import WORDS, Outcome, requeue_one, requeue_quarantined

LONGEST = 10.0
"""Seconds that one answer may take; what is left then is told, and done when asked again."""

WHERE = {"dead": "dead", "quarantined": "in quarantine"}

MAY_COUNT_TWICE = (
    "Segment drops repeats for 24 hours only: one that it took after all will count twice."
)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """`/requeue` and `/events/<message_id>/requeue`."""
    correction = Correction(bridge.store.engine)

    @blueprint.post("/events/<message_id>/requeue")
    def requeue_event(message_id: str) -> ResponseReturnValue:
        return _requeue_event(correction, message_id, time.time())

    @blueprint.get("/requeue")
    def ask_to_requeue() -> ResponseReturnValue:
        return _ask_about_all(correction, _which(request.args), time.time())

    @blueprint.post("/requeue")
    def requeue() -> ResponseReturnValue:
        which = _which(request.form)
        with HEAVY.place():
            outcomes = _requeue_all(correction, which, time.time())
        _tell(outcomes, which, correction.count(which))
        return redirect(url_for("inspector.stream"), 303)


def _requeue_event(correction: Correction, message_id: str, now: float) -> ResponseReturnValue:
    page = url_for("inspector.event", message_id=message_id)
    found = correction.find(message_id)
    is_old = found and found.state == "dead" and now - found.received_at > FORGOTTEN_AFTER
    if is_old and request.form.get("sure") != "1":
        said = f"It was received more than 24 hours ago. {MAY_COUNT_TWICE}"
        return ask("Send this event again?", [said], "Send it again", back=page)
    outcome = requeue_one(correction, message_id, now)
    flash(f"The event: {WORDS[outcome]}.", "good" if outcome == "requeued" else "bad")
    if correction.find(message_id) is None:  # once it can be read, its id is of what it says
        page = url_for("inspector.stream")
    return redirect(page, 303)


def _ask_about_all(correction: Correction, which: str, now: float) -> ResponseReturnValue:
    count = correction.count(which)
    if not count:
        flash(f"No event is {WHERE[which]}.", "good")
        return redirect(url_for("inspector.stream"), 303)
    events = events_in_words(count)
    if which == "quarantined":
        said = (
            f"{events} will be read again by today's rules. What can be read is sent; the rest "
            "stays, with today's reasons."
        )
        return ask("Read again all that is in quarantine?", [said], "Read them again", which)
    sentences = [f"{events} will be due at once, with the ids and times they had."]
    if old := correction.count("dead", received_before=now - FORGOTTEN_AFTER):
        sentences.append(
            f"Received more than 24 hours ago: {events_in_words(old)}. {MAY_COUNT_TWICE}"
        )
    return ask("Send again all that were given up?", sentences, "Send them again", which)


def _requeue_all(correction: Correction, which: str, now: float) -> Counter[Outcome]:
    wait = _until(time.monotonic() + LONGEST)
    if which == "quarantined":
        return requeue_quarantined(correction, now, wait)
    outcomes: Counter[Outcome] = Counter()
    outcomes["requeued"] = sum(in_steps(lambda: correction.requeue_some_dead(now), wait))
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
            flash(f"{events_in_words(count)}: {WORDS[outcome]}.", kind)
    if not outcomes.total():
        flash(f"No event was {WHERE[which]}.")
    elif left:
        flash(f"{events_in_words(left)} still {WHERE[which]}.")
