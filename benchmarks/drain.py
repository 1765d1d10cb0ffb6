"""How fast one deliverer sends what waits, against the SDK's `post` alone."""

import tempfile
from pathlib import Path

from benchmarks.options import Options
from benchmarks.prepared import copy, export_calls, prepare
from benchmarks.report import Figure, at_least, say
from benchmarks.servers import bare_loop, deliverer, sink

WAITING = 100_000


def measure(options: Options) -> list[Figure]:
    """From the first batch at the sink to the last: what it takes to start does not count."""
    count = options.count(WAITING)
    with tempfile.TemporaryDirectory(prefix="bench") as place:
        folder = Path(place)
        made = prepare(folder / "made.db", count)
        calls = export_calls(made, folder / "calls")
        ratios = [_round(number, made, calls, count) for number in range(options.rounds)]
    name = f"one deliverer over {count:,} waiting ÷ SDK's post alone"
    return [Figure(name, at_least(0.5), ratios)]


def _round(number: int, made: Path, calls: Path, count: int) -> float:
    if number % 2 == 0:
        ours, floor = drain_copy(made, count), _post_all(calls, count)
    else:
        floor, ours = _post_all(calls, count), drain_copy(made, count)
    say(f"drain, round {number + 1}: deliverer {ours:,.0f}/s, SDK's post alone {floor:,.0f}/s")
    return ours / floor


def drain_copy(made: Path, count: int) -> float:
    """Events a second, of a file that stays as it is."""
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        return drain(copy(made, Path(name) / "bridge.db"), count)


def drain(database: Path, count: int) -> float:
    """Events a second, over so many of those that wait."""
    with sink() as segment, deliverer(segment, database):
        return segment.wait_for(count).rate


def _post_all(calls: Path, count: int) -> float:
    with sink() as segment, bare_loop(segment, calls):
        return segment.wait_for(count).rate
