"""`/erase`: a person asks to be forgotten.

It goes through every event, which takes minutes of a million. So the page does it only where few
enough are kept to be done in one answer, and else names the command that does it.
"""

import time
from collections import Counter

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.formatting import pluralize
from app.inspector.at_once import HEAVY
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.address_matcher import is_address
from app.outbox.batches import Wait
from app.outbox.erasure import LOG_IN_USE, Erasure

FEW = 20_000
"""Events that are gone through in a few seconds."""

LONGEST = 15.0
"""Seconds to wait for events that are being sent."""


class _OutOfTime(Exception):
    pass


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """`/erase`: which address, what would go, and gone."""

    @blueprint.get("/erase")
    def ask_whom_to_erase() -> str:
        return _form(bridge)

    @blueprint.post("/erase")
    def erase() -> ResponseReturnValue:
        address = request.form.get("email", "").strip()
        if not is_address(address):
            return _form(bridge, fault="Write a whole address: ana@example.com")
        if not _is_few(bridge):
            return _form(bridge, fault="Not here: too many events are kept.")
        with HEAVY.place():
            return _look_and_erase(bridge, address, is_sure=request.form.get("sure") == "1")


def _look_and_erase(bridge: Bridge, address: str, is_sure: bool) -> ResponseReturnValue:
    deadline = time.monotonic() + LONGEST
    erasure = Erasure(bridge.store.engine, address, wait=_until(deadline))
    found = erasure.look()
    if is_sure:
        _erase(erasure, found)
        return redirect(url_for("inspector.stream"), 303)
    others = len(erasure.others)
    return render_template(
        "erase.html", address=address, found=found, total=found.total(), others=others
    )


def _erase(erasure: Erasure, found: Counter[str]) -> None:
    """Also where nothing was found: a run before this one may have been cut off at the end."""
    try:
        erased = erasure.erase().total()
    except _OutOfTime:
        erased = max(found.total() - erasure.left, 0)
    flash(f"Erased: {pluralize(erased, 'event')}.", "good")
    if erasure.left:
        flash(
            f"{pluralize(erasure.left, 'event')} not erased yet, because they are being sent: "
            "erase again in a minute.",
            "bad",
        )
    if remains := _overwrite(erasure):
        flash(remains, "bad")


def _overwrite(erasure: Erasure) -> str:
    try:
        return erasure.overwrite()
    except _OutOfTime:
        return LOG_IN_USE


def _until(deadline: float) -> Wait:
    def wait(seconds: float) -> None:
        if time.monotonic() > deadline:
            raise _OutOfTime
        time.sleep(seconds)

    return wait


def _form(bridge: Bridge, fault: str = "") -> str:
    return render_template(
        "erase.html", address="", found=None, few=_is_few(bridge), most=FEW, fault=fault
    )


def _is_few(bridge: Bridge) -> bool:
    try:
        return sum(bridge.stats.latest().states.values()) <= FEW
    except StatsUnavailable:
        return False
