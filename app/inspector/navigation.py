"""The navigation of every page: what needs attention, and which direction is shown."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, g, request

from app.bridge import Bridge
from app.monitoring.problem import Problem
from app.monitoring.watched import find_all

PAGES = (
    ("overview", "Overview"),
    ("stream", "Events"),
    ("issues", "Issues"),
    ("setup", "Setup"),
)
"""Endpoints and their names."""

BELONGS_TO = {"event": "stream", "event_to": "stream", "try_mapping": "setup"}
"""Endpoints that are not in the navigation → the one that they are reached from."""


@dataclass(frozen=True)
class Navigation:
    """The values that the layout needs."""

    endpoint: str
    page: str
    """The endpoint in the navigation that this one is, or belongs to."""
    to: str
    """The destination whose direction is shown; "" for all."""
    directions: Mapping[str, str]
    """The name of each destination → its direction for people, if there are several."""
    issues: int
    attention: int
    """How many problems an operator should look at."""


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Give the layout its navigation. It waits for no database: it shows what was counted last."""

    @blueprint.app_context_processor
    def add_navigation() -> dict[str, object]:
        if not g.get("is_logged_in"):
            return {}
        stats = [each.stats.peek() for each in bridge.directions]
        problems = _known_problems(bridge)
        names = {
            each.destination.name: f"{each.destination.labels.source} → "
            f"{each.destination.labels.destination}"
            for each in bridge.directions
        }
        endpoint = (request.endpoint or "").removeprefix("inspector.")
        nav = Navigation(
            endpoint=endpoint,
            page=BELONGS_TO.get(endpoint, endpoint),
            to=request.args.get("to", "") if request.args.get("to", "") in names else "",
            directions=names if len(names) > 1 else {},
            issues=sum(len(each.issues) for each in stats if each),
            attention=sum(problem.level != "notice" for problem in problems),
        )
        return {"nav": nav, "nav_pages": PAGES}


def _known_problems(bridge: Bridge) -> list[Problem]:
    """The problems that follow from the stats that were counted last."""
    if any(direction.stats.peek() is None for direction in bridge.directions):
        return []
    return find_all([each.watched_recently for each in bridge.directions], time.time()).problems
