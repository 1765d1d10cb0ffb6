"""How many events came and went in each minute: what a chart shows without counting events again.

Written in the transaction that keeps or settles the events, so that the two never disagree.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, Select, delete, select

from app.database.engine import dialect_of, reader
from app.database.statements import PreparedInsert
from app.database.tables import events as kept_events
from app.database.tables import traffic

MINUTE = 60


@dataclass(frozen=True)
class Minute:
    """What one collection did in one minute; "" is what could not be read."""

    minute: int
    """Its start, in seconds since the epoch."""
    collection: str
    received: int
    sent: int


class Traffic:
    """Counts, for the store of one destination."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._destination = destination
        insert = dialect_of(engine).insert(traffic)
        upsert = insert.on_conflict_do_update(
            index_elements=[*traffic.primary_key],
            set_={name: traffic.c[name] + insert.excluded[name] for name in ("received", "sent")},
        )
        self._upsert = PreparedInsert(engine, upsert, [column.name for column in traffic.c])

    def count(
        self,
        connection: Connection,
        way: Literal["received", "sent"],
        events: Mapping[tuple[float, str | None], int],
    ) -> None:
        """Count events: so many by time and collection."""
        counts: Counter[tuple[int, str]] = Counter()
        for (at, name), count in events.items():
            counts[int(at) // MINUTE * MINUTE, name or ""] += count
        nothing = {"destination": self._destination, "received": 0, "sent": 0}
        rows: list[dict[str, Any]] = [
            {"minute": minute, "collection": collection, **nothing, way: count}
            # in one order, or two transactions could wait for one another
            for (minute, collection), count in sorted(counts.items())
        ]
        if rows:
            self._upsert.insert(connection, rows)


def read_traffic(engine: Engine, destination: str, since: float) -> list[Minute]:
    """The minutes in which anything happened since then, oldest first."""
    statement = (
        select(traffic.c.minute, traffic.c.collection, traffic.c.received, traffic.c.sent)
        .where(traffic.c.destination == destination, traffic.c.minute > since - MINUTE)
        .order_by(traffic.c.minute, traffic.c.collection)
    )
    with reader(engine) as connection:
        return [Minute(**row) for row in connection.execute(statement).mappings()]


def prune_traffic(connection: Connection, before: float) -> None:
    """Forget the minutes before."""
    connection.execute(delete(traffic).where(traffic.c.minute < before))


# by id, which grows with the time: no index is over all times
NEWEST = select(kept_events.c.received_at).order_by(kept_events.c.id.desc()).limit(1)


def newest_of(destination: str) -> Select[float]:
    """When the newest message came that is for it."""
    return NEWEST.where(kept_events.c.destination == destination)


def last_received(engine: Engine, destination: str) -> float | None:
    """Seconds since the epoch; None if nothing is kept. Raises `SQLAlchemyError`."""
    with reader(engine) as connection:
        return connection.scalar(newest_of(destination))
