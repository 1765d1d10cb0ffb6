"""Compute the chart of what became of events. `_chart.html` draws it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from app.outbox.traffic import Minute

Last = Literal["15m", "1h", "24h", "7d"]

SPANS: dict[Last, tuple[int, int]] = {
    "15m": (60, 15),
    "1h": (60, 60),
    "24h": (1800, 48),
    "7d": (7200, 84),
}
"""Seconds in a column, and the number of columns."""

WORDS: dict[Last, str] = {
    "15m": "15 minutes",
    "1h": "hour",
    "24h": "24 hours",
    "7d": "7 days",
}
"""What follows "the last"."""

PRESETS: dict[Last, str] = {"15m": "15 min", "1h": "1 h", "24h": "24 h", "7d": "7 days"}
"""The names of the links to each span."""

OUTCOMES = ("delivered", "retried", "failed")
"""Those of a bar, from the bottom upwards: delivered at the first try or after others, and given
up. Their classes decide colour and pattern."""

WIDTH, HEIGHT = 720, 110
GAP = 2
LABELS = 4
"""Times that are written under the chart, beside the last."""


@dataclass(frozen=True)
class Bar:
    """One outcome's part of a column, in the chart's units, measured from the top left."""

    outcome: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Row:
    """The numbers of one column, or of one collection, for a table."""

    name: str
    """The collection; "" for webhooks that could not be read."""
    at: float
    """When the column began."""
    received: int
    delivered: int
    retried: int
    """Of the delivered ones, those that were not taken at the first try."""
    failed: int


@dataclass(frozen=True)
class Chart:
    """Columns of what became of events, and the numbers behind them."""

    last: Last
    bars: tuple[Bar, ...]
    top: int
    """The number of events that the chart's full height stands for."""
    times: tuple[str, ...]
    total: Row
    kinds: tuple[Row, ...]
    """By collection, those with the most events first."""
    rows: tuple[Row, ...]
    """By column, newest first, without those in which nothing happened."""


def starts_at(last: Last, now: float) -> int:
    """Return the start of the first column, in seconds since the epoch."""
    seconds, columns = SPANS[last]
    return int(now) // seconds * seconds - (columns - 1) * seconds


def traffic_to_chart(minutes: Iterable[Minute], last: Last, now: float) -> Chart:
    """Compute the chart of a span that ends now."""
    seconds, columns = SPANS[last]
    start = starts_at(last, now)
    by_column = [Counter[str]() for _ in range(columns)]
    by_kind: dict[str, Counter[str]] = {}
    for minute in minutes:
        column = (minute.minute - start) // seconds
        if 0 <= column < columns:
            counts = _counts(minute)
            by_column[column] += counts
            by_kind.setdefault(minute.collection, Counter()).update(counts)
    top = _round_up(max(each["delivered"] + each["failed"] for each in by_column))
    kinds = [_row(name, 0, counts) for name, counts in by_kind.items()]
    rows = [_row("", start + at * seconds, by_column[at]) for at in reversed(range(columns))]
    return Chart(
        last=last,
        bars=tuple(_bars(by_column, top)),
        top=top,
        times=tuple(_times(start, seconds, columns)),
        total=_row("", start, sum(by_column, Counter[str]())),
        kinds=tuple(sorted(kinds, key=lambda row: -max(row.received, row.delivered))),
        rows=tuple(row for row in rows if row.received or row.delivered or row.failed),
    )


def _counts(minute: Minute) -> Counter[str]:
    return Counter(
        received=minute.received,
        delivered=minute.sent,
        retried=minute.retried,
        failed=minute.failed,
    )


def _row(name: str, at: float, counts: Counter[str]) -> Row:
    return Row(name, at, *(counts[each] for each in ("received", "delivered", "retried", "failed")))


def _bars(by_column: Sequence[Counter[str]], top: int) -> Iterable[Bar]:
    step = WIDTH / len(by_column)
    for column, counts in enumerate(by_column):
        y = float(HEIGHT)
        at_once = counts["delivered"] - counts["retried"]
        parts = (at_once, counts["retried"], counts["failed"])
        for outcome, count in zip(OUTCOMES, parts, strict=True):
            if count > 0:
                height = count * HEIGHT / top
                y -= height
                x = column * step + GAP / 2
                yield Bar(outcome, round(x, 2), round(y, 2), round(step - GAP, 2), round(height, 2))


def _round_up(most: int) -> int:
    """Round up to the next number that is easy to read."""
    power = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if most <= step * power:
                return step * power
        power *= 10


def _times(start: int, seconds: int, columns: int) -> Iterable[str]:
    is_long = seconds * columns > 20 * 3600
    for label in range(LABELS):
        moment = datetime.fromtimestamp(start + label * columns // LABELS * seconds, UTC)
        yield f"{moment:%-d %b %H:%M}" if is_long else f"{moment:%H:%M}"
