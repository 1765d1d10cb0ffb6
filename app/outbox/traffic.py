"""Count messages by minute, so that a chart need not count the messages themselves.

The counts are written in the transaction that keeps or settles the messages, so the two never
disagree.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, delete, select

from app.database.engine import reader
from app.database.statements import InsertMany
from app.database.tables import events as kept_events
from app.database.tables import traffic

MINUTE = 60
"""Seconds."""


@dataclass(frozen=True)
class Minute:
    """The counts of one collection in one minute; its name is "" for bodies that cannot be read."""

    minute: int
    """Its start, in seconds since the epoch."""
    collection: str
    received: int
    sent: int


class Traffic:
    """Count messages for the store of one destination."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._destination = destination
        self._upsert = InsertMany(
            engine,
            "traffic",
            ("destination", "minute", "collection", "received", "sent"),
            "ON CONFLICT (destination, minute, collection) DO UPDATE SET "
            "received = traffic.received + excluded.received, sent = traffic.sent + excluded.sent",
        )

    def count(
        self,
        connection: Connection,
        way: Literal["received", "sent"],
        events: Mapping[tuple[float, str | None], int],
    ) -> None:
        """Add counts, keyed by time in seconds and collection, to their minutes."""
        counts: Counter[tuple[int, str]] = Counter()
        for (at, name), count in events.items():
            counts[int(at) // MINUTE * MINUTE, name or ""] += count
        nothing = {"destination": self._destination, "received": 0, "sent": 0}
        rows: list[dict[str, Any]] = [
            {"minute": minute, "collection": collection, **nothing, way: count}
            # always in the same order, or two transactions could wait for one another
            for (minute, collection), count in sorted(counts.items())
        ]
        if rows:
            self._upsert.run(connection, rows)


def read_traffic(engine: Engine, destination: str, since: float) -> list[Minute]:
    """The minutes since then in which anything was received or sent, oldest first."""
    statement = (
        select(traffic.c.minute, traffic.c.collection, traffic.c.received, traffic.c.sent)
        .where(traffic.c.destination == destination, traffic.c.minute > since - MINUTE)
        .order_by(traffic.c.minute, traffic.c.collection)
    )
    with reader(engine) as connection:
        return [Minute(**row) for row in connection.execute(statement).mappings()]


def prune_traffic(connection: Connection, before: float) -> None:
    """Delete the minutes that began before this time."""
    connection.execute(delete(traffic).where(traffic.c.minute < before))


# ids grow with time, and there is no index over all times of receipt
NEWEST = select(kept_events.c.received_at).order_by(kept_events.c.id.desc()).limit(1)


def newest_of(destination: str) -> Select[float]:
    """The query for when the newest message for this destination was received."""
    return NEWEST.where(kept_events.c.destination == destination)


def last_received(engine: Engine, destination: str) -> float | None:
    """When the newest message was received, in seconds since the epoch; None if nothing is kept.
    Raises `SQLAlchemyError`."""
    with reader(engine) as connection:
        return connection.scalar(newest_of(destination))
