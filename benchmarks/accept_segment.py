"""How many of Segment's calls a second are accepted, alone and in batches of 100, against a route
that reads the same bodies. Nothing is delivered meanwhile: no account of Drip is set.
"""

from benchmarks.load import flood_of_calls
from benchmarks.options import Options
from benchmarks.report import Figure, at_least, say
from benchmarks.servers import Server, bridge, peer, sink

SECRET = "a-secret-of-many-letters"

WARM_UP = 2
"""Seconds."""

IN_A_BATCH = 100


def measure(options: Options) -> list[Figure]:
    """The two ratios, and how many calls a second one process keeps."""
    rounds = [_round(number, options) for number in range(options.rounds)]
    batches = f"Segment's calls in batches of {IN_A_BATCH}"
    return [
        Figure(
            "Segment's calls one by one, over SQLite ÷ route that reads the body",
            None,
            [found["ours", 1] / found["empty", 1] for found in rounds],
        ),
        Figure(
            f"{batches}, over SQLite ÷ route that reads the body",
            at_least(0.6),
            [found["ours", IN_A_BATCH] / found["empty", IN_A_BATCH] for found in rounds],
        ),
        Figure(
            f"{batches} ÷ one by one, over SQLite",
            None,
            [found["ours", IN_A_BATCH] / found["ours", 1] for found in rounds],
        ),
    ]


def _round(number: int, options: Options) -> dict[tuple[str, int], float]:
    found = {}
    for calls in (1, IN_A_BATCH):
        with sink() as segment:
            with peer("reading_route", segment) as server:
                found["empty", calls] = _rate(server, calls, options.seconds)
            with bridge(segment, SEGMENT_WEBHOOK_SECRET=SECRET) as server:
                found["ours", calls] = _rate(server, calls, options.seconds)
    rates = (f"{name} of {calls} {rate:,.0f}/s" for (name, calls), rate in found.items())
    say(f"accept from Segment, round {number + 1}: {', '.join(rates)}")
    return found


def _rate(server: Server, calls: int, seconds: int) -> float:
    """Calls a second."""
    url = f"{server.base}/webhooks/segment?token={SECRET}"
    flood_of_calls(server, url, calls, WARM_UP)
    return flood_of_calls(server, url, calls, seconds).rate * calls
