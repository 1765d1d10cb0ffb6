"""The overview, `/`: what is wrong, since when and what to press; what went; what was checked.

`/live/overview` has the part that refreshes by itself.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import percent, pluralize, relative_time, thousands
from app.inspector.chart import (
    PRESETS,
    SPANS,
    WORDS,
    Chart,
    Last,
    Row,
    starts_at,
    traffic_to_chart,
)
from app.inspector.facts import Fact, read_facts
from app.inspector.view import is_first_run
from app.monitoring.backlog import backlog_to_words
from app.monitoring.problem import Problem, unreadable
from app.monitoring.stats import Quota, Stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import find_all
from app.outbox.latency import Latency, read_latency
from app.outbox.skipped import read_skipped
from app.outbox.traffic import read_traffic

HOUR = 3600.0

LATELY = 900.0
"""Seconds since the last delivery for which the page says that the bridge delivers."""


@dataclass(frozen=True)
class Flow:
    """What went through the directions that are shown, in a span of time."""

    total: Row
    rejected: int
    skipped: Counter[str]
    """Events of which nothing was kept, by reason."""
    latency: tuple[tuple[str, Latency], ...]
    """By destination's name for people."""

    @property
    def first_try(self) -> str:
        """The share of the delivered ones that were taken at the first try, such as "99.5 %"."""
        return percent(self.total.delivered - self.total.retried, self.total.delivered)


@dataclass(frozen=True)
class Overview:
    """The values that the templates need."""

    problems: Sequence[Problem]
    summary: str
    """One sentence, if nothing is wrong: no more than was checked."""
    chart: Chart
    flow: Flow
    states: Counter[str]
    waiting: Counter[str]
    """Events that wait, by cause."""
    facts: Sequence[Fact]
    quotas: Sequence[Quota]
    backlogs: Sequence[str]
    """What is to be said of what waits long for a destination's limits."""
    to: str
    now: float

    @property
    def attention(self) -> int:
        """How many problems somebody should look at."""
        return sum(problem.level != "notice" for problem in self.problems)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of this page's URL."""
        query = {"to": self.to, "last": "" if self.chart.last == "1h" else self.chart.last}
        return {name: value for name, value in query.items() if value}


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/` and `/live/overview`."""

    @blueprint.get("/")
    def overview() -> ResponseReturnValue:
        if is_first_run(bridge):
            return redirect(url_for("inspector.setup"), 303)
        return render_template("overview.html", **_read(bridge))

    @blueprint.get("/live/overview")
    def live_overview() -> ResponseReturnValue:
        return render_template("live_overview.html", **_read(bridge))


def _read(bridge: Bridge) -> dict[str, object]:
    to, last = request.args.get("to", ""), request.args.get("last", "1h")
    shown = [each for each in bridge.directions if to in ("", each.destination.name)]
    overview = read_overview(
        bridge,
        shown or bridge.directions,
        last if last in SPANS else "1h",
        time.time(),
        to if shown else "",
    )
    return {"overview": overview, "spans": WORDS, "presets": PRESETS}


def read_overview(
    bridge: Bridge, shown: Sequence[Direction], last: Last, now: float, to: str = ""
) -> Overview:
    """Read the problems of all directions, and the figures of those that are shown. Raises
    `SQLAlchemyError` if the database is unavailable."""
    chart = _read_chart(bridge, shown, last, now)
    hours = bridge.settings.alert_silence_hours
    problems: Sequence[Problem]
    stats: list[Stats]
    try:
        stats = [direction.stats.recent() for direction in shown]
        watched = [direction.watched_recently for direction in bridge.directions]
        problems = find_all(watched, now, hours * 3600 if hours else None).problems
    except StatsUnavailable as error:
        stats, problems = [], [unreadable(str(error))]
    return Overview(
        problems=problems,
        summary=_summarize(stats, chart, now),
        chart=chart,
        flow=_read_flow(bridge, shown, chart),
        states=sum((Counter(each.states) for each in stats), Counter[str]()),
        waiting=_count_waiting(stats),
        facts=read_facts(bridge, shown, stats, now),
        quotas=[quota for each in stats for quota in each.quotas],
        backlogs=_read_backlogs(bridge, shown, stats, now),
        to=to,
        now=now,
    )


def _read_chart(bridge: Bridge, shown: Sequence[Direction], last: Last, now: float) -> Chart:
    seconds, _ = SPANS[last]
    minutes = [
        minute
        for direction in shown
        for minute in read_traffic(
            bridge.engine, direction.destination.name, starts_at(last, now), seconds
        )
    ]
    return traffic_to_chart(minutes, last, now)


def _read_flow(bridge: Bridge, shown: Sequence[Direction], chart: Chart) -> Flow:
    skipped: Counter[str] = Counter()
    latency = []
    for direction in shown:
        name, label = direction.destination.name, direction.destination.labels.destination
        skipped += read_skipped(bridge.engine, name, chart.total.at)
        if took := read_latency(bridge.engine, name, chart.total.at):
            latency.append((label, took))
    rejected = sum(kind.received for kind in chart.kinds if not kind.name)
    return Flow(chart.total, rejected, skipped, tuple(latency))


def _read_backlogs(
    bridge: Bridge, shown: Sequence[Direction], stats: Sequence[Stats], now: float
) -> list[str]:
    backlogs = []
    for direction, each in zip(shown, stats, strict=False):  # no stats if they are unavailable
        if each.ends:
            name, labels = direction.destination.name, direction.destination.labels
            sent = sum(minute.sent for minute in read_traffic(bridge.engine, name, now - HOUR))
            backlogs.append(backlog_to_words(each, sent, labels.destination, now))
    return backlogs


def _count_waiting(stats: Sequence[Stats]) -> Counter[str]:
    waiting: Counter[str] = Counter()
    for each in stats:
        for account in each.waiting:
            waiting[account.cause] += account.count
    return waiting


def _summarize(stats: Sequence[Stats], chart: Chart, now: float) -> str:
    if all(each.last_webhook is None for each in stats):
        return (
            "Nothing is known to be wrong. Nothing has come yet, or all of it was deleted by age."
        )
    last_sent = max((each.last_sent for each in stats if each.last_sent), default=None)
    waits = sum(account.count for each in stats for account in each.waiting)
    waiting = f"{pluralize(waits, 'event')} waiting" if waits else "nothing waits"
    if last_sent is None or now - last_sent > LATELY or not chart.total.delivered:
        return f"Nothing is known to be wrong. Nothing was delivered lately; {waiting}."
    return (
        f"Delivering normally: {thousands(chart.total.delivered)} in the last {WORDS[chart.last]}, "
        f"the last one {relative_time(last_sent, now)}; {waiting}."
    )
