"""Events that ended long ago go, a few hundred at a time."""

import time
from collections import Counter
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, text

from app.config.schema import LEAST_DAYS
from app.database.engine import reader
from app.database.sql import IS_SETTLED
from app.database.tables import bodies, events, whole
from app.outbox.batches import Wait, in_batches, within
from app.outbox.traffic import prune_traffic

STEP = 300
"""Events that go with one commit: some tens of milliseconds for which writers wait."""

PAGES = 1_000
"""Of SQLite's file that are given back with one commit: 4 MB."""

DAY = 24 * 3600.0


class Pruning:
    """Keeps each kind for so many days after it ended. What waits to be sent is never pruned."""

    def __init__(self, engine: Engine, sent_days: float, failed_days: float) -> None:
        self._engine = engine
        sent, failed = max(sent_days, LEAST_DAYS), max(failed_days, LEAST_DAYS)
        self._days = {"sent": sent, "erased": sent, "dead": failed, "quarantined": failed}

    def run(self, now: float, wait: Wait = time.sleep) -> Counter[str]:
        """Prune all that is old enough, or until `wait` says to stop; how many, by state.

        SQLite's file shrinks once its log is written back to it.
        """
        pruned: Counter[str] = Counter()
        for step in in_batches(lambda: self.step(now), wait):
            pruned += step
        for _ in in_batches(self._give_back, wait):
            pass
        return pruned

    def step(self, now: float) -> Counter[str]:
        """Prune at most `STEP` events; how many, by state."""
        pruned: Counter[str] = Counter()
        with self._engine.begin() as connection:
            for state, days in self._days.items():
                most = STEP - pruned.total()
                pruned[state] = _prune(connection, state, now - days * DAY, most)
            prune_traffic(connection, now - self._days["sent"] * DAY)
        self._give_back()
        return +pruned

    def _give_back(self) -> int:
        """Pages that SQLite's file has no use for go to the system; how many went."""
        if self._engine.dialect.name != "sqlite":
            return 0
        with reader(self._engine) as connection:
            free = _free_pages(connection)
            driver: Any = connection.connection.driver_connection
            try:
                # it goes page by page with what is fetched, and SQLAlchemy sees no rows to fetch
                driver.execute(f"PRAGMA incremental_vacuum({PAGES})").fetchall()
            except driver.OperationalError:  # locked: another time will do
                return 0
            return max(0, free - _free_pages(connection))


def _prune(connection: Connection, state: str, before: float, most: int) -> int:
    old = (
        select(
            events.c.id,
            func.length(bodies.c.raw) + func.length(func.coalesce(bodies.c.payload, "")),
        )
        .select_from(whole)
        .where(events.c.state == state, IS_SETTLED, events.c.settled_at < before)
        .order_by(events.c.settled_at)
        .limit(most)
        .with_for_update(skip_locked=True, of=events)
    )
    ids = within(map(tuple, connection.execute(old)))
    connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)


def _free_pages(connection: Connection) -> int:
    free: int = connection.execute(text("PRAGMA freelist_count")).scalar_one()
    return free
