"""What was seen, against its bar."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """What the median has to reach, or to stay under."""

    limit: float
    is_floor: bool
    unit: str = ""

    def is_met(self, value: float) -> bool:
        """Whether the value is on the right side; on the bar is."""
        return value >= self.limit if self.is_floor else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.is_floor else '≤'} {short(self.limit)}{self.unit}"


def at_least(limit: float, unit: str = "") -> Bar:
    """More is better."""
    return Bar(limit, is_floor=True, unit=unit)


def at_most(limit: float, unit: str = "") -> Bar:
    """Less is better."""
    return Bar(limit, is_floor=False, unit=unit)


@dataclass(frozen=True)
class Figure:
    """One row of the table."""

    name: str
    bar: Bar | None
    """None if there is nothing to reach: a figure to compare others with."""
    seen: Sequence[float]
    """A value a round, or one."""

    def row(self) -> str:
        """In Markdown."""
        median = statistics.median(self.seen)
        unit = self.bar.unit if self.bar else ""
        seen = f"{short(median)}{unit}"
        if len(self.seen) > 1:
            seen += f" ({short(min(self.seen))} to {short(max(self.seen))})"
        if self.bar is None:
            return f"| {self.name} | none | {seen} | |"
        verdict = "met" if self.bar.is_met(median) else "short"
        return f"| {self.name} | {self.bar} | {seen} | {verdict} |"


def short(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def say(line: str) -> None:
    """At once, also into a pipe."""
    print(line, flush=True)


def say_table(figures: Iterable[Figure]) -> None:
    """All rows."""
    say("\n| figure | bar | seen: median (lowest to highest) | |\n|---|---|---|---|")
    for figure in figures:
        say(figure.row())
