"""How long the slowest hundredth waits, at a rate that leaves room to breathe."""

from benchmarks.load import steady
from benchmarks.options import Options
from benchmarks.report import Figure, at_most, say
from benchmarks.servers import bridge, peer, sink

RATE = 500
WARM_UP = 2.0
"""Seconds."""


def measure(options: Options) -> list[Figure]:
    """The bridge and the empty route, turn by turn; the one that waits for its turn is idle."""
    ratios = []
    with sink() as segment, peer("empty_route", segment) as floor, bridge(segment) as ours:
        for server in (floor, ours):
            steady(server, RATE, WARM_UP)
        for number in range(options.rounds):
            turns = (floor, ours) if number % 2 == 0 else (ours, floor)
            p99 = {server.port: steady(server, RATE, options.seconds).p99 for server in turns}
            ratios.append(p99[ours.port] / p99[floor.port])
            say(
                f"p99, round {number + 1}: bridge {p99[ours.port] * 1000:.2f} ms, "
                f"empty route {p99[floor.port] * 1000:.2f} ms"
            )
    return [Figure(f"p99 at {RATE}/s over SQLite ÷ empty Flask route", at_most(3), ratios)]
