"""Compute the chart of received and sent events. `_chart.html` draws it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from app.outbox.traffic import Minute

Per = Literal["minute", "hour"]

Kinds = Mapping[str, str]
"""Collection → the class of its colour and pattern, from the bottom of a bar upwards. "" stands for
webhooks that could not be read."""

PATTERNS: Mapping[str, str] = {
    "delivered": "",
    "opened": "M0 0H6",
    "clicked": "M0 0V6",
    "unsubscribed": "M0 6L6 0",
    "bounced": "M0 0L6 6",
    "spam": "M0 0H6M0 0V6",
    "identify": "M1 3H5",
    "track": "M3 1V5",
    "campaign": "M1 1L5 5",
    "alias": "M1 5L5 1",
    "unread": "M0 0L6 6M0 6L6 0",
}
"""Class → the lines of its pattern, so that colours need not be told apart."""

UNREAD = "Could not be read"

SPANS: dict[Per, tuple[int, int]] = {"minute": (60, 60), "hour": (3600, 48)}
"""Seconds in a column, and the number of columns."""

WIDTH, HEIGHT = 720, 110
GAP = 2
LABELS = 4
"""Times that are written under the chart, beside the last."""


@dataclass(frozen=True)
class Bar:
    """One collection's part of a column, in the chart's units, measured from the top left."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Kind:
    """An entry of the legend, with the totals of one collection."""

    name: str
    kind: str
    pattern: str
    """The lines of its pattern, as a path in a square of 6 by 6."""
    received: int
    sent: int


@dataclass(frozen=True)
class Row:
    """The numbers of one column, for the table. `received` is in the legend's order."""

    at: float
    received: tuple[int, ...]
    sent: int


@dataclass(frozen=True)
class Chart:
    """Columns for received events, and a line for sent ones."""

    per: Per
    bars: tuple[Bar, ...]
    sent: str
    """The line's points."""
    top: int
    """The number of events that the chart's full height stands for."""
    times: tuple[str, ...]
    legend: tuple[Kind, ...]
    rows: tuple[Row, ...]
    """Newest first, without those where nothing happened."""
    received_in_all: int
    sent_in_all: int


def starts_at(per: Per, now: float) -> int:
    """Return the start of the first column, in seconds since the epoch."""
    seconds, columns = SPANS[per]
    return int(now) // seconds * seconds - (columns - 1) * seconds


def traffic_to_chart(minutes: Iterable[Minute], collections: Kinds, per: Per, now: float) -> Chart:
    """Compute the chart of the last 60 minutes or 48 hours before `now`. `collections` has the
    class of each; bodies that could not be read come last."""
    kinds = {**collections, "": "unread"}
    seconds, columns = SPANS[per]
    start = starts_at(per, now)
    received = [Counter[str]() for _ in range(columns)]
    sent = [Counter[str]() for _ in range(columns)]
    for minute in minutes:
        column = (minute.minute - start) // seconds
        if 0 <= column < columns:
            received[column][minute.collection] += minute.received
            sent[column][minute.collection] += minute.sent
    top = _round_up(max(counter.total() for counter in (*received, *sent)))
    return Chart(
        per=per,
        bars=tuple(_bars(received, kinds, top)),
        sent=_line([counter.total() for counter in sent], top),
        top=top,
        times=tuple(_times(start, seconds, columns)),
        legend=_legend(received, sent, kinds),
        rows=tuple(_rows(received, sent, kinds, start, seconds)),
        received_in_all=sum(counter.total() for counter in received),
        sent_in_all=sum(counter.total() for counter in sent),
    )


def _bars(received: Sequence[Counter[str]], kinds: Kinds, top: int) -> Iterable[Bar]:
    step = WIDTH / len(received)
    for column, counts in enumerate(received):
        y = float(HEIGHT)
        for name, kind in kinds.items():
            if counts[name]:
                height = counts[name] * HEIGHT / top
                y -= height
                x = column * step + GAP / 2
                yield Bar(kind, round(x, 2), round(y, 2), round(step - GAP, 2), round(height, 2))


def _line(sent: Sequence[int], top: int) -> str:
    step = WIDTH / len(sent)
    points = (
        f"{round((column + 0.5) * step, 2):g},{round(HEIGHT - count * HEIGHT / top, 2):g}"
        for column, count in enumerate(sent)
    )
    return " ".join(points)


def _round_up(most: int) -> int:
    """Round up to the next number that is easy to read."""
    power = 1
    while True:
        for step in (1, 2, 3, 4, 5, 6, 8):
            if most <= step * power:
                return step * power
        power *= 10


def _times(start: int, seconds: int, columns: int) -> Iterable[str]:
    for label in range(LABELS):
        yield f"{datetime.fromtimestamp(start + label * columns // LABELS * seconds, UTC):%H:%M}"


def _legend(
    received: Sequence[Counter[str]], sent: Sequence[Counter[str]], kinds: Kinds
) -> tuple[Kind, ...]:
    received_sum, sent_sum = sum(received, Counter[str]()), sum(sent, Counter[str]())
    return tuple(
        Kind(name or UNREAD, kind, PATTERNS[kind], received_sum[name], sent_sum[name])
        for name, kind in kinds.items()
    )


def _rows(
    received: Sequence[Counter[str]],
    sent: Sequence[Counter[str]],
    kinds: Kinds,
    start: int,
    seconds: int,
) -> Iterable[Row]:
    for column in reversed(range(len(received))):
        if received[column] or sent[column]:
            counts = tuple(received[column][name] for name in kinds)
            yield Row(start + column * seconds, counts, sent[column].total())
