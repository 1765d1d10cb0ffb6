"""`/issues`: what has failed, grouped by reason, with what it means and what to press."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.direction import Direction
from app.inspector.display import Show, text_formatter
from app.monitoring.meanings import explain
from app.monitoring.problem import Problem
from app.monitoring.stats import Issue
from app.monitoring.watched import find_all
from app.outbox.search import Event

STATE_WORDS = {"dead": "Failed", "quarantined": "Rejected", "expired": "Expired"}


@dataclass(frozen=True)
class ShownIssue:
    """An issue as the page shows it."""

    issue: Issue
    direction: Direction
    sample: Event | None
    """The newest of its messages."""
    meaning: str

    @property
    def state_word(self) -> str:
        """What its messages are called."""
        return STATE_WORDS[self.issue.state]

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the list of its messages."""
        return {"issue": self.issue.key, "to": self.issue.destination}


@dataclass(frozen=True)
class IssuesPage:
    """The values that `issues.html` needs."""

    problems: Sequence[Problem]
    """What keeps messages waiting now."""
    issues: Sequence[ShownIssue]
    to: str
    has_two: bool
    now: float

    @property
    def show(self) -> Show:
        """Format text as this page may show it."""
        return text_formatter(reveal=False)


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/issues`."""

    @blueprint.get("/issues")
    def issues() -> ResponseReturnValue:
        now = time.time()
        to = request.args.get("to", "")
        page = IssuesPage(
            problems=_waiting_problems(bridge, now),
            issues=_read_issues(bridge, to),
            to=to,
            has_two=len(bridge.directions) > 1,
            now=now,
        )
        return render_template("issues.html", page=page)


def _waiting_problems(bridge: Bridge, now: float) -> list[Problem]:
    """The problems that are not issues themselves."""
    watched = [each.watched_recently for each in bridge.directions]
    return [
        problem
        for problem in find_all(watched, now).problems
        if problem.name.rpartition(": ")[2] not in ("failed", "rejected")
    ]


def _read_issues(bridge: Bridge, to: str) -> list[ShownIssue]:
    directions = [each for each in bridge.directions if to in ("", each.destination.name)]
    found = [(issue, each) for each in directions for issue in each.stats.recent().issues]
    found.sort(key=lambda pair: -pair[0].last_at)
    samples = {event.id: event for event in bridge.search.whole([i.newest for i, _ in found])}
    return [
        ShownIssue(issue, each, samples.get(issue.newest), explain(issue, each.destination))
        for issue, each in found
    ]
