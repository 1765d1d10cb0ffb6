"""How many webhooks a second are accepted, flat out, while they are being delivered.

In each round every server takes its turn, started afresh: what one has left to send would be sent
during another's.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from benchmarks.load import flood
from benchmarks.options import Options
from benchmarks.postgresql import fresh_database, postgresql
from benchmarks.report import Bar, Figure, at_least, say
from benchmarks.servers import Server, Sink, bridge, peer, sink

WARM_UP = 2
"""Seconds."""

RATIOS: dict[str, tuple[str, str, Bar | None]] = {
    "accepted over SQLite ÷ empty Flask route": ("sqlite", "empty", at_least(0.80)),
    "accepted over PostgreSQL ÷ empty Flask route": ("postgresql", "empty", at_least(0.66)),
    "accepted over SQLite ÷ relay that keeps nothing": ("sqlite", "relay", at_least(1.1)),
    "accepted over SQLite ÷ empty route under gevent": ("sqlite", "empty-gevent", None),
}
"""The last has no bar: what the bridge's own work takes, under the worker that it has."""

Start = Callable[[Sink], AbstractContextManager[Server]]


def measure(options: Options) -> list[Figure]:
    """The ratios."""
    with postgresql() as cluster:
        starts = _starts(cluster)
        rounds = [_round(number, starts, options) for number in range(options.rounds)]
    return [
        Figure(name, bar, [rates[upper] / rates[lower] for rates in rounds])
        for name, (upper, lower, bar) in RATIOS.items()
    ]


def _starts(cluster: str) -> dict[str, Start]:
    @contextmanager
    def over_postgresql(segment: Sink) -> Iterator[Server]:
        with fresh_database(cluster) as url, bridge(segment, DATABASE_URL=url) as server:
            yield server

    return {
        "empty": lambda segment: peer("empty_route", segment),
        "empty-gevent": lambda segment: peer("empty_route", segment, "gevent"),
        "relay": lambda segment: peer("memory_relay", segment),
        "sqlite": bridge,
        "postgresql": over_postgresql,
    }


def _round(number: int, starts: dict[str, Start], options: Options) -> dict[str, float]:
    names = list(starts)
    first = number % len(names)
    rates, told = {}, []
    for name in names[first:] + names[:first]:
        rates[name], share = _rate(starts[name], options.seconds)
        sent = "" if name.startswith("empty") else f" ({share:.0%} of it sent by then)"
        told.append(f"{name} {rates[name]:,.0f}/s{sent}")
    say(f"accept, round {number + 1}: {', '.join(told)}")
    return rates


def _rate(start: Start, seconds: int) -> tuple[float, float]:
    """Webhooks a second, and the share that was with Segment when the load ended."""
    with sink() as segment, start(segment) as server:
        warm = flood(server, WARM_UP)
        load = flood(server, seconds)
        share = segment.tally().calls / (warm.answers + load.answers)
    return load.rate, share
