"""How fast, against what, in one run: `python -m benchmarks`, or `make bench`."""

import signal
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from collections.abc import Callable

from benchmarks import (
    accept,
    accept_segment,
    backlog,
    drain,
    drip_backlog,
    fixed_rate,
    idle,
    memory,
    start,
    sustained,
    warehouse,
)
from benchmarks.load import require_wrk
from benchmarks.machine import say_machine
from benchmarks.options import Options
from benchmarks.report import Figure, say_table

FIGURES: dict[str, Callable[[Options], list[Figure]]] = {
    "accept": accept.measure,
    "accept-segment": accept_segment.measure,
    "p99": fixed_rate.measure,
    "sustained": sustained.measure,
    "drain": drain.measure,
    "backlog": backlog.measure,
    "drip-backlog": drip_backlog.measure,
    "memory": memory.measure,
    "idle": idle.measure,
    "start": start.measure,
    "warehouse": warehouse.measure,
}


def _options() -> Options:
    parser = ArgumentParser(
        "python -m benchmarks",
        description="How fast, against what. Takes half an hour, of which `memory` takes half.",
        epilog="A look in some minutes: --rounds 1 --seconds 3 --scale 0.1",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5, help="of what is compared")
    parser.add_argument("--seconds", type=int, default=10, help="of each load")
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts of events")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=FIGURES,
        default=list(FIGURES),
        metavar="NAME",
        help="the figures: %(choices)s",
    )
    return Options(**vars(parser.parse_args()))


def main() -> None:
    """The machine, a line a round, the table."""
    options = _options()
    require_wrk()
    # so that every process that was started is ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Told to stop."))
    say_machine()
    figures = [figure for name in options.only for figure in FIGURES[name](options)]
    say_table(figures)


if __name__ == "__main__":
    main()
