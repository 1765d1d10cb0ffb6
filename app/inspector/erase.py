"""`/erase`: delete a person's data.

It goes through every event. If too many are kept for one request, the page shows the command that
does it instead: a million events take minutes.
"""

import time
from collections import Counter

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.formatting import pluralize
from app.inspector.limits import HEAVY
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.address_matcher import is_address
from app.outbox.batches import Wait
from app.outbox.erasure import LOG_IN_USE, Erasure

FEW = 20_000
"""The most events that the page goes through, which takes a few seconds."""

LONGEST = 15.0
"""Seconds to wait for events that are being sent."""


class _OutOfTime(Exception):
    pass


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/erase`, which asks for the address, shows what it would delete, and deletes it."""

    @blueprint.get("/erase")
    def ask_whom_to_erase() -> str:
        return _form(bridge)

    @blueprint.post("/erase")
    def erase() -> ResponseReturnValue:
        address = request.form.get("email", "").strip()
        if not is_address(address):
            return _form(bridge, error="Write a whole address: ana@example.com")
        if not _is_few(bridge):
            return _form(bridge, error="Not here: too many events are kept.")
        with HEAVY.slot():
            return _preview_or_erase(bridge, address, is_sure=request.form.get("sure") == "1")


def _preview_or_erase(bridge: Bridge, address: str, is_sure: bool) -> ResponseReturnValue:
    deadline = time.monotonic() + LONGEST
    warehouse = bridge.warehouse.erasures if bridge.warehouse else None
    erasure = Erasure(bridge.engine, address, wait=_wait_until(deadline), warehouse=warehouse)
    counts = erasure.look()
    if is_sure:
        _erase(erasure, counts)
        if warehouse:
            flash("In the warehouse the next load deletes the person: flask warehouse load", "good")
        return redirect(url_for("inspector.stream"), 303)
    others = len(erasure.others)
    return render_template(
        "erase.html", address=address, counts=counts, total=counts.total(), others=others
    )


def _erase(erasure: Erasure, counts: Counter[str]) -> None:
    """Erase the events, and overwrite the files even if an earlier run has erased the events."""
    try:
        erased = erasure.erase().total()
    except _OutOfTime:
        erased = max(counts.total() - erasure.left, 0)
    flash(f"Deleted: {pluralize(erased, 'event')}.", "good")
    if erasure.left:
        flash(
            f"{pluralize(erasure.left, 'event')} not deleted yet, because they are being sent: "
            "delete again in a minute.",
            "bad",
        )
    if remains := _overwrite(erasure):
        flash(remains, "bad")


def _overwrite(erasure: Erasure) -> str:
    try:
        return erasure.overwrite()
    except _OutOfTime:
        return LOG_IN_USE


def _wait_until(deadline: float) -> Wait:
    def wait(seconds: float) -> None:
        if time.monotonic() > deadline:
            raise _OutOfTime
        time.sleep(seconds)

    return wait


def _form(bridge: Bridge, error: str = "") -> str:
    return render_template(
        "erase.html",
        address="",
        counts=None,
        few=_is_few(bridge),
        most=FEW,
        error=error,
    )


def _is_few(bridge: Bridge) -> bool:
    try:
        stats = [direction.stats.latest() for direction in bridge.directions]
        return sum(sum(each.states.values()) for each in stats) <= FEW
    except StatsUnavailable:
        return False
