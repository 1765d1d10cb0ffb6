"""Which accounts' events are paused, and why."""

from collections.abc import Iterable, Mapping

from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched

Pauses = Mapping[tuple[str, str], str]
"""(destination, account) → why its events are paused."""


def read_pauses(directions: Iterable[Watched]) -> Pauses:
    """The pauses of these directions, as of the latest stats; none if there are no stats."""
    try:
        return {
            (direction.destination.name, each.account): each.answer.reason
            for direction in directions
            for each in direction.latest().waiting
            if each.cause == "paused" and each.answer
        }
    except StatsUnavailable:
        return {}
