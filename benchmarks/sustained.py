"""A minute at 1,000 webhooks a second, from end to end: does what waits grow?"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, func, select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.sql import IS_PENDING
from app.database.tables import events
from benchmarks.load import Load, steady
from benchmarks.options import Options
from benchmarks.report import Figure, at_least, at_most, say
from benchmarks.servers import Server, bridge, sink

RATE = 1000
SECONDS = 60
WARM_UP = 2.0

Sample = tuple[float, int]
"""Seconds since the start, and how many wait then."""


def measure(options: Options) -> list[Figure]:
    """Once."""
    with sink() as segment, bridge(segment) as server:
        steady(server, RATE / 2, WARM_UP)
        load, samples = _watch(server, SECONDS * options.scale)
    most = max(waiting for _, waiting in samples)
    say(
        f"sustained: {load.rate:,.0f}/s accepted of {RATE:,}/s asked, "
        f"p99 {load.p99 * 1000:.1f} ms, at most {most:,} waiting"
    )
    kept_up, growth = load.rate / RATE, _growth(samples) / RATE
    return [
        Figure(f"a minute at {RATE:,}/s: accepted", at_least(99, " %"), [kept_up * 100]),
        Figure("growth of what waits, of the rate", at_most(1, " %"), [growth * 100]),
    ]


def _watch(server: Server, seconds: float) -> tuple[Load, list[Sample]]:
    engine = open_database(make_url(f"sqlite:///{server.folder / 'bridge.db'}"))
    samples: list[Sample] = []
    began = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(steady, server, RATE, seconds)
        while not load.done():
            # every second: a batch more or less would pass for growth among few samples
            time.sleep(1)
            if (now := time.monotonic() - began) > seconds:
                continue  # late answers: what waits shrinks now that nothing new falls due
            samples.append((now, _waiting(engine)))
            if len(samples) % 5 == 0:
                say(f"sustained, {now:.0f} s: {samples[-1][1]:,} wait")
    engine.dispose()
    return load.result(), samples


def _waiting(engine: Engine) -> int:
    # without the write lock that a transaction on SQLite begins with
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return connection.scalar(select(func.count()).select_from(events).where(IS_PENDING)) or 0


def _growth(samples: list[Sample]) -> float:
    """Events a second, over the second half."""
    times, waiting = zip(*samples[len(samples) // 2 :], strict=True)
    return statistics.linear_regression(times, waiting).slope
