"""Run the checks over all directions, and say of which each sentence is.

With one direction, names and sentences are as `checks.py` has them. With two, each sentence says of
which direction it is. In alerts the first direction's names stay as they are, so that alerts that
are out when the second is switched on still end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from app.destination import Destination
from app.monitoring.checks import NOT_READY, failed_checks, unkept
from app.monitoring.stats import Stats


@dataclass(frozen=True)
class Watched:
    """What the checks need of one direction."""

    destination: Destination
    latest: Callable[[], Stats]
    """Raises `StatsUnavailable`."""
    is_kept: Callable[[], bool]
    """Whether this process could keep the latest webhook."""


@dataclass(frozen=True)
class Failed:
    """The checks that failed."""

    sentences: dict[str, str]
    """The name of each → what is wrong and what to do."""
    unknown: frozenset[str]
    """The names of those that cannot be decided now."""

    @property
    def not_ready(self) -> list[str]:
        """The sentences about messages that do not flow now."""
        return [
            sentence
            for name, sentence in self.sentences.items()
            if name.rpartition(": ")[2] in NOT_READY
        ]


def check_all(directions: Sequence[Watched], now: float, silence: float | None = None) -> Failed:
    """Check each direction. Raises `StatsUnavailable`.

    `silence` is how many seconds without a webhook are too many; None for no such check.
    """
    sentences: dict[str, str] = {}
    unknown: set[str] = set()
    for each, name_begins, sentence_begins in _named(directions):
        stats, destination = each.latest(), each.destination
        option = f" --destination {destination.name}" if sentence_begins else ""
        failed = failed_checks(stats, destination, now, silence, option)
        sentences |= {
            name_begins + name: sentence_begins + sentence for name, sentence in failed.items()
        }
        if stats.last_webhook is None:  # nothing is kept that would show how long the silence is
            unknown.add(f"{name_begins}silence")
    return Failed(sentences, frozenset(unknown))


def unkept_in_all(directions: Sequence[Watched]) -> dict[str, str]:
    """A sentence for each direction whose latest webhook this process could not keep, by name."""
    return {
        f"{name_begins}unkept": sentence_begins + unkept(each.destination.labels)
        for each, name_begins, sentence_begins in _named(directions)
        if not each.is_kept()
    }


def _named(directions: Sequence[Watched]) -> Iterator[tuple[Watched, str, str]]:
    """Each direction with how the names of its checks begin, and how its sentences do."""
    for place, each in enumerate(directions):
        labels = each.destination.labels
        yield (
            each,
            f"{each.destination.name}: " if place else "",
            f"{labels.source} to {labels.destination}: " if len(directions) > 1 else "",
        )
