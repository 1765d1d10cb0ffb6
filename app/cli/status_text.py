"""Format the bridge's status for a terminal. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from app.formatting import percent, printable, relative_time, short_duration, size_of, thousands
from app.monitoring.backlog import backlog_to_words
from app.monitoring.problem import Problem
from app.monitoring.stats import Cause, Stats
from app.monitoring.warehouse import furthest_behind, state_of
from app.outbox.traffic import Minute
from app.version import VERSION

MARKS = {"critical": "✗", "warning": "!", "notice": "·"}

DATABASES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

SHOWN = {
    "dead": "failed",
    "expired": "expired",
    "quarantined": "rejected",
    "dismissed": "dismissed",
}
"""The states that are counted here → what they are called."""


@dataclass(frozen=True)
class FlowStatus:
    """What goes through one direction."""

    source: str
    destination: str
    last_hour: Sequence[Minute]
    stats: Stats

    def count(self, way: str) -> int:
        """How many events went this way (app/outbox/traffic.py) in the last hour."""
        return sum(getattr(minute, way) for minute in self.last_hour)


def problem_to_lines(problem: Problem) -> Iterator[str]:
    """Say what is wrong, how much, for which accounts, and what to do."""
    accounts = f"Accounts: {', '.join(problem.accounts)}." if problem.accounts else ""
    yield printable(f"{MARKS[problem.level]} {problem.title}")
    for line in filter(None, (problem.facts, accounts, problem.action)):
        yield printable(f"  {line}")


def flow_to_lines(flow: FlowStatus, now: float) -> Iterator[str]:
    """Say what went, what waits and what was left of it."""
    stats, delivered = flow.stats, flow.count("sent")
    first = percent(delivered - flow.count("retried"), delivered)
    at_first = f" ({first} at the first try)" if delivered else ""
    counts = [
        f"{thousands(stats.states[state])} {word}"
        for state, word in SHOWN.items()
        if state in stats.states
    ]
    last_hour = (
        f"{thousands(flow.count('received'))} received",
        f"{thousands(delivered)} delivered{at_first}",
        f"{thousands(flow.count('failed'))} failed",
    )
    yield f"{flow.source} → {flow.destination}"
    yield _row("  Last hour", ", ".join(last_hour))
    yield _row("  Waiting", _waiting(stats, now))
    if backlog := backlog_to_words(stats, delivered, flow.destination, now):
        yield f"  {backlog}"
    yield _row("  Kept", ", ".join(counts))
    yield _row("  Last webhook", _ago(stats.last_webhook, now))
    yield _row("  Last delivered", _ago(stats.last_sent, now))


def rest_to_lines(flows: Sequence[FlowStatus], dialect: str, now: float) -> Iterator[str]:
    """Describe what all directions share."""
    stats = flows[0].stats
    running = [each for each in stats.deliverers if each.is_running(now)]
    words = f"{thousands(len(running))} running"
    if stats.deliverers:
        words += f", seen {relative_time(max(each.seen_at for each in stats.deliverers), now)}"
    yield _row("Deliverers", words)
    yield _row("Database", f"{DATABASES[dialect]}, {size_of(stats.database_bytes)}")
    load = furthest_behind([flow.stats.load for flow in flows], now)
    if load is not None:
        yield _row("Warehouse", state_of(load, now))
    yield _row("Version", VERSION)


def _waiting(stats: Stats, now: float) -> str:
    parts = []
    for cause in get_args(Cause):
        oldest = stats.oldest(cause)
        if oldest is not None:
            age = short_duration(max(0.0, now - oldest))
            parts.append(f"{thousands(stats.count(cause))} {cause} (oldest {age})")
    return ", ".join(parts) or "nothing"


def _ago(at: float | None, now: float) -> str:
    return "none" if at is None else relative_time(at, now)


def _row(name: str, words: str) -> str:
    return f"{name:18}{words}"
