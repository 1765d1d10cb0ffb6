"""Count by minute the webhooks, and events in them, of which nothing is kept.

A wrong token in Drip looks like silence, so an operator has to see how much was refused. Anybody
may send what is refused, so a request costs an addition in memory, and the sums are written now and
then: those of the last seconds are lost if the process is killed.
"""

import threading
import time
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import reader
from app.database.sql import storable
from app.database.statements import InsertMany
from app.database.tables import skipped
from app.outbox.traffic import MINUTE

WRITE_EVERY = 5.0
"""Seconds."""

MOST_REASONS = 50
"""Different reasons that are written at once; senders must not fill the table with new ones."""

LONGEST = 60
"""Characters of a reason."""

_counts: Counter[tuple[str, str]] = Counter()
"""What this process has counted since the sums were last written, by destination and reason."""

_lock = threading.Lock()


def count_skipped(destination: str, reasons: Mapping[str, int]) -> None:
    """Count events that are not kept, by reason."""
    with _lock:
        for reason, count in reasons.items():
            _counts[destination, reason] += count


def write_skipped(engine: Engine) -> None:
    """Add what this process has counted to the table. Raises `SQLAlchemyError`, and then keeps the
    counts for the next time."""
    with _lock:
        counted = _counts.copy()
        _counts.clear()
    if not counted:
        return
    try:
        _write(engine, counted)
    except SQLAlchemyError:
        with _lock:
            _counts.update(counted)
        raise


def _write(engine: Engine, counted: Counter[tuple[str, str]]) -> None:
    upsert = InsertMany(
        engine,
        "skipped",
        ("destination", "minute", "reason", "count"),
        "ON CONFLICT (destination, minute, reason) DO UPDATE SET "
        "count = skipped.count + excluded.count",
    )
    minute = int(time.time()) // MINUTE * MINUTE
    sums: Counter[tuple[str, str]] = Counter()
    for (destination, reason), count in counted.most_common(MOST_REASONS):
        sums[destination, storable(reason[:LONGEST])] += count
    rows = [
        {"destination": destination, "minute": minute, "reason": reason, "count": count}
        for (destination, reason), count in sorted(sums.items())
    ]
    with engine.begin() as connection:
        upsert.run(connection, rows)


def read_skipped(engine: Engine, destination: str, since: float) -> Counter[str]:
    """How many events were not kept since then, by reason. Raises `SQLAlchemyError`."""
    statement = (
        select(skipped.c.reason, func.sum(skipped.c["count"]))
        .where(skipped.c.destination == destination, skipped.c.minute > since - MINUTE)
        .group_by(skipped.c.reason)
    )
    with reader(engine) as connection:
        return Counter({reason: int(count) for reason, count in connection.execute(statement)})


def prune_skipped(connection: Connection, before: float) -> None:
    """Delete the minutes that began before this time."""
    connection.execute(delete(skipped).where(skipped.c.minute < before))
