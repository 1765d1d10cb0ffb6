"""Count messages by minute, so that a chart need not count the messages themselves.

The counts are written in the transaction that keeps or settles the messages, so the two never
disagree.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select

from app.database.engine import reader
from app.database.statements import InsertMany
from app.database.tables import events as kept_events
from app.database.tables import traffic

MINUTE = 60
"""Seconds."""


@dataclass(frozen=True)
class Minute:
    """The counts of one collection in one minute, or in a longer span; its name is "" for bodies
    that cannot be read."""

    minute: int
    """Its start, in seconds since the epoch."""
    collection: str
    received: int
    sent: int
    retried: int
    """Of the sent ones, those that were not taken at the first try."""
    failed: int
    """Given up."""


WAYS = ("received", "sent", "retried", "failed")

Counts = Mapping[tuple[float, str | None], int]
"""Messages by time in seconds and collection."""


class Traffic:
    """Count messages for the store of one destination."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._destination = destination
        self._upsert = InsertMany(
            engine,
            "traffic",
            ("destination", "minute", "collection", *WAYS),
            "ON CONFLICT (destination, minute, collection) DO UPDATE SET "
            + ", ".join(f"{way} = traffic.{way} + excluded.{way}" for way in WAYS),
        )

    def count(self, connection: Connection, **ways: Counts) -> None:
        """Add counts to their minutes. The arguments are some of `WAYS`."""
        minutes: defaultdict[tuple[int, str], Counter[str]] = defaultdict(Counter)
        for way, counts in ways.items():
            for (at, name), count in counts.items():
                minutes[int(at) // MINUTE * MINUTE, name or ""][way] += count
        rows: list[dict[str, Any]] = [
            {
                "destination": self._destination,
                "minute": minute,
                "collection": collection,
                **{way: counts[way] for way in WAYS},
            }
            # always in the same order, or two transactions could wait for one another
            for (minute, collection), counts in sorted(minutes.items())
        ]
        if rows:
            self._upsert.run(connection, rows)


def read_traffic(
    engine: Engine, destination: str, since: float, step: int = MINUTE
) -> list[Minute]:
    """The spans of `step` seconds since then in which anything happened, oldest first. Each begins
    at a multiple of `step`. Raises `SQLAlchemyError`."""
    span = (traffic.c.minute - traffic.c.minute % step).label("minute")
    statement = (
        select(span, traffic.c.collection, *(func.sum(traffic.c[way]).label(way) for way in WAYS))
        .where(traffic.c.destination == destination, traffic.c.minute > since - MINUTE)
        .group_by(span, traffic.c.collection)
        .order_by(span, traffic.c.collection)
    )
    with reader(engine) as connection:
        rows = connection.execute(statement).all()
    return [Minute(minute, name, *map(int, counts)) for minute, name, *counts in rows]


def prune_traffic(connection: Connection, before: float) -> None:
    """Delete the minutes that began before this time."""
    connection.execute(delete(traffic).where(traffic.c.minute < before))


# ids grow with time, and there is no index over all times of receipt
NEWEST = select(kept_events.c.received_at).order_by(kept_events.c.id.desc()).limit(1)
