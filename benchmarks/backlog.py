"""Whether a million waiting events slow anything down: accepting, or sending."""

import tempfile
import time
from pathlib import Path

from benchmarks.drain import drain, drain_copy
from benchmarks.load import flood
from benchmarks.options import Options
from benchmarks.prepared import prepare
from benchmarks.report import Figure, at_least, say
from benchmarks.servers import bridge, sink

WAITING = 1_000_000
SENT = 50_000
"""In each round, of those that wait: so many more wait at first."""

WARM_UP = 2
"""Seconds."""


def measure(options: Options) -> list[Figure]:
    """Two ratios; nothing is sent while accepting is measured, so that what waits stays."""
    waiting, sent = options.count(WAITING), options.count(SENT)
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        began = time.monotonic()
        much = prepare(Path(name) / "much.db", waiting + options.rounds * sent)
        little = prepare(Path(name) / "little.db", sent)
        say(f"backlog: {waiting:,} waiting events were made in {time.monotonic() - began:.0f} s")
        accepting = [_accept(number, much, options) for number in range(options.rounds)]
        sending = [_send(number, much, little, sent) for number in range(options.rounds)]
    return [
        Figure(f"accepting with {waiting:,} waiting ÷ with none", at_least(0.9), accepting),
        Figure(f"sending with {waiting:,} waiting ÷ with none", at_least(0.9), sending),
    ]


def _accept(number: int, much: Path, options: Options) -> float:
    urls = {"much": f"sqlite:///{much}", "none": "sqlite:///bridge.db"}
    rates = {}
    for name in _in_turn(number):
        with (
            sink() as segment,
            bridge(segment, DATABASE_URL=urls[name], DELIVER_IN_WEB="false") as server,
        ):
            flood(server, WARM_UP)
            rates[name] = flood(server, options.seconds).rate
    return _told("accepting", number, rates)


def _send(number: int, much: Path, little: Path, sent: int) -> float:
    rates = {}
    for name in _in_turn(number):
        rates[name] = drain(much, sent) if name == "much" else drain_copy(little, sent)
    return _told("sending", number, rates)


def _in_turn(number: int) -> tuple[str, str]:
    return ("much", "none") if number % 2 == 0 else ("none", "much")


def _told(what: str, number: int, rates: dict[str, float]) -> float:
    say(
        f"backlog, {what}, round {number + 1}: {rates['much']:,.0f}/s with it, "
        f"{rates['none']:,.0f}/s without"
    )
    return rates["much"] / rates["none"]
