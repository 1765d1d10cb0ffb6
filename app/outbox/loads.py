"""How far the kept messages were loaded into a warehouse.

A load goes through the events by their ids. A message that could not be read has no place in a
warehouse; when it can be read it is kept anew, with a new id, and so it is loaded.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    text,
    update,
)

from app.database.engine import dialect_of, reader
from app.database.tables import events, loads
from app.outbox.erasures import Erasures

HAS_PAYLOAD = events.c.state.not_in(["quarantined", "erased"])
"""Whether there is anything of an event to load."""

GRACE = 30 * 24 * 3600.0
"""Seconds beyond their retention that events are kept for a warehouse. Then they are deleted all
the same: a warehouse that is gone must not fill the disk."""

LOOK_EVERY = 0.05
PATIENCE = 30.0
"""Seconds between two looks at transactions that are under way, and until they have to end."""

_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks "
    "WHERE relation = 'events'::regclass AND mode = 'RowExclusiveLock' AND granted"
)


@dataclass(frozen=True)
class Load:
    """How far the messages for one destination were loaded. Times are in seconds since the epoch,
    or None."""

    loaded_at: float | None
    """When a load last came to its end."""
    count: int
    """How many events were loaded, repeats included."""
    oldest: float | None
    """When the first event came that is not loaded yet."""
    failing_since: float | None
    error: str | None
    every: float | None
    """How many seconds lie between two loads, if the bridge starts them."""
    retention: float
    """How many seconds events are kept if they are loaded in time."""
    to_erase: float | None = None
    """Since when the warehouse still has a person who was erased."""


class Loads:
    """What is loaded into one warehouse. All methods raise `SQLAlchemyError` if the database is out
    of reach."""

    def __init__(
        self,
        engine: Engine,
        warehouse: str,
        destinations: Sequence[str],
        retention: float,
        every: float | None = None,
    ) -> None:
        """`warehouse` is its fingerprint. Messages for `destinations` are loaded, every so many
        seconds if the bridge starts loads by itself. They are kept for `retention` seconds."""
        self._engine = engine
        self.warehouse = warehouse
        self.destinations = destinations
        self._retention = retention
        self._every = every
        self._insert = dialect_of(engine).insert

    def horizon(self, wait: Callable[[float], object] = time.sleep) -> int:
        """The highest id such that no event with a lower one is still on its way.

        PostgreSQL gives out ids in order, but transactions end in any order. So it waits for those
        that were writing when it looked, and holds nobody up. Raises `TimeoutError` if one of them
        does not end.
        """
        with reader(self._engine) as connection:
            highest = connection.scalar(select(func.max(events.c.id))) or 0
            if self._engine.dialect.name == "sqlite":  # one writer at a time
                return highest
            writing = {*connection.scalars(_WRITERS)}
            for _ in range(int(PATIENCE / LOOK_EVERY)):
                if not writing.intersection(connection.scalars(_WRITERS)):
                    return highest
                wait(LOOK_EVERY)
        raise TimeoutError("a transaction that writes events does not end")

    def last_event(self, destination: str) -> int:
        """The id of the last event for this destination that was loaded; 0 if none was."""
        with reader(self._engine) as connection:
            return connection.scalar(self._last_event(destination)) or 0

    def count(self, destination: str) -> int:
        """How many events for this destination are to be loaded."""
        with reader(self._engine) as connection:
            waiting = select(func.count()).where(*self._waiting(connection, destination))
            return connection.scalar(waiting) or 0

    def advance(self, destination: str, before: int, last_event: int, count: int) -> bool:
        """Note that events up to `last_event` are loaded, `count` more than `before`. Returns False
        if anything else changed it meanwhile: then they are loaded again."""
        row = {**self._key(destination), "last_event": 0, "count": 0}
        put = self._insert(loads).values(row).on_conflict_do_nothing()
        moved = (
            update(loads)
            .where(*self._is(destination), loads.c.last_event == before)
            # SQLite may have given the id to another event, if this one was deleted meanwhile
            .where(exists().where(events.c.id == last_event))
            .values(last_event=last_event, count=loads.c.count + count)
        )
        with self._engine.begin() as connection:
            connection.execute(put)
            return connection.execute(moved).rowcount == 1

    def end(self, now: float, error: str | None = None) -> None:
        """Note that a load came to its end, or that it failed and why. `error` is for anyone."""
        for destination in self.destinations:
            values = (
                {"failing_since": None, "error": None, "loaded_at": now}
                if error is None
                else {"failing_since": now, "error": error}
            )
            put = self._insert(loads).values(
                **self._key(destination), last_event=0, count=0, **values
            )
            since = func.coalesce(loads.c.failing_since, now)
            put = put.on_conflict_do_update(
                index_elements=[*loads.primary_key],
                set_=values if error is None else {"failing_since": since, "error": error},
            )
            with self._engine.begin() as connection:
                connection.execute(put)

    def start_over(self) -> None:
        """Load all that is kept again, because the warehouse was lost or emptied."""
        with self._engine.begin() as connection:
            connection.execute(
                update(loads).where(loads.c.warehouse == self.warehouse).values(last_event=0)
            )

    def read(self, destination: str) -> Load | None:
        """How far it is with the messages for this destination; None if they are not loaded."""
        if destination not in self.destinations:
            return None
        columns = (loads.c.loaded_at, loads.c.count, loads.c.failing_since, loads.c.error)
        with reader(self._engine) as connection:
            row = connection.execute(select(*columns).where(*self._is(destination))).first()
            loaded_at, count, failing_since, error = row or (None, 0, None, None)
            return Load(
                loaded_at,
                count,
                self._oldest(connection, destination),
                failing_since,
                error,
                self._every,
                self._retention,
                self._oldest_erasure(destination),
            )

    def _oldest_erasure(self, destination: str) -> float | None:
        """Erasures are of the whole warehouse: the first destination has them."""
        is_first = destination == self.destinations[0]
        return Erasures(self._engine, self.warehouse).oldest() if is_first else None

    def oldest(self, connection: Connection) -> float | None:
        """When the first event came that is not loaded yet, for any of the destinations."""
        times = [self._oldest(connection, each) for each in self.destinations]
        return min([at for at in times if at is not None], default=None)

    def _oldest(self, connection: Connection, destination: str) -> float | None:
        waiting = self._waiting(connection, destination)
        first = select(events.c.received_at).where(*waiting).order_by(events.c.id).limit(1)
        return connection.scalar(first)

    def is_waiting(self, connection: Connection) -> ColumnElement[bool]:
        """The condition that an event is still to be loaded."""
        return or_(*(and_(*self._waiting(connection, each)) for each in self.destinations))

    def _key(self, destination: str) -> dict[str, str]:
        return {"warehouse": self.warehouse, "destination": destination}

    def _is(self, destination: str) -> tuple[ColumnElement[bool], ...]:
        return (loads.c.warehouse == self.warehouse, loads.c.destination == destination)

    def _last_event(self, destination: str) -> Select[int]:
        return select(loads.c.last_event).where(*self._is(destination))

    def _waiting(self, connection: Connection, destination: str) -> tuple[ColumnElement[bool], ...]:
        """The conditions that an event is still to be loaded. The id is a value, not a subquery:
        so both engines go through the events from there on."""
        last_event = connection.scalar(self._last_event(destination)) or 0
        return (
            events.c.id > last_event,
            events.c.destination == destination,
            HAS_PAYLOAD,
        )
