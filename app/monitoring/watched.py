"""Find the problems of all directions.

With one direction, names and titles are as `problems.py` has them. With two, each title begins with
its direction. In alerts the first direction's names stay as they are, so that alerts that are out
when the second is switched on still end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.destination import Destination
from app.formatting import minute_time, pluralize
from app.monitoring.problem import LEVELS, Problem, unkept
from app.monitoring.problems import find_problems
from app.monitoring.stats import Stats

STARTING = 30.0
"""Seconds from the start of a process in which a deliverer may not have reported yet."""


@dataclass(frozen=True)
class Watched:
    """What monitoring needs of one direction."""

    destination: Destination
    latest: Callable[[], Stats]
    """Raises `StatsUnavailable`."""
    is_kept: Callable[[], bool]
    """Whether this process could keep the latest webhook."""
    started_at: float
    """When this process began to watch, in seconds since the epoch."""


@dataclass(frozen=True)
class Findings:
    """What was found."""

    problems: list[Problem]
    """The gravest first."""
    unknown: frozenset[str]
    """Names of problems that may be there or not: nothing that is kept shows it."""

    @property
    def is_flowing(self) -> bool:
        """Whether messages flow as they should."""
        return all(problem.level != "critical" for problem in self.problems)


def find_all(directions: Sequence[Watched], now: float, silence: float | None = None) -> Findings:
    """Find the problems of each direction, and of the deliverers, which all share. Raises
    `StatsUnavailable`.

    `silence` is how many seconds without a webhook are too many; None for no such check.
    """
    problems: list[Problem] = []
    unknown: set[str] = set()
    for each, name, title in _named(directions):
        stats = each.latest()
        problems += [
            replace(problem, name=name + problem.name, title=title + problem.title)
            for problem in find_problems(stats, each.destination, now, silence)
        ]
        if stats.last_webhook is None:  # nothing is kept that would show how long the silence is
            unknown.add(f"{name}silence")
    problems = [*_of_deliverers(directions, now), *problems]
    problems.sort(key=lambda each: LEVELS.index(each.level))
    return Findings(problems, frozenset(unknown))


def unkept_in_all(directions: Sequence[Watched]) -> list[Problem]:
    """A problem for each direction whose latest webhook this process could not keep."""
    return [
        replace(unkept(each.destination.labels), name=f"{name}unkept")
        for each, name, _ in _named(directions)
        if not each.is_kept()
    ]


def _of_deliverers(directions: Sequence[Watched], now: float) -> Iterator[Problem]:
    stats = [each.latest() for each in directions]
    deliverers = stats[0].deliverers
    is_starting = now - directions[0].started_at < STARTING
    if is_starting or any(each.is_running(now) for each in deliverers):
        return
    count = sum(waiting.count for each in stats for waiting in each.waiting)
    seen_at = max((each.seen_at for each in deliverers), default=None)
    seen = "never" if seen_at is None else f"at {minute_time(seen_at, now)}"
    yield Problem(
        "deliverer",
        "critical",
        "No deliverer runs, so nothing is sent",
        f"Last seen: {seen}. {pluralize(count, 'event')} waiting, none lost.",
        "The web process runs one, unless DELIVER_IN_WEB=false: then start flask deliver. The log "
        "has why one ended.",
        "A deliverer runs again",
        count,
        seen_at,
    )


def _named(directions: Sequence[Watched]) -> Iterator[tuple[Watched, str, str]]:
    """Each direction with how the names of its problems begin, and how their titles do."""
    for place, each in enumerate(directions):
        labels = each.destination.labels
        yield (
            each,
            f"{each.destination.name}: " if place else "",
            f"{labels.source} → {labels.destination}: " if len(directions) > 1 else "",
        )
