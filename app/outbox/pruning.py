"""Delete messages that ended long ago, a few hundred at a time."""

import time
from collections import Counter
from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Engine, delete, func, not_, or_, select

from app.database.engine import reader
from app.database.sql import IS_SETTLED
from app.database.sqlite_file import release_free_pages
from app.database.tables import bodies, events, whole
from app.outbox.answers import prune_answers
from app.outbox.batches import Wait, in_batches, within
from app.outbox.loads import GRACE, Loads
from app.outbox.skipped import prune_skipped
from app.outbox.traffic import prune_traffic

STEP = 300
"""Messages deleted with one commit: writers wait for some tens of milliseconds."""

PAGES = 1_000
"""Pages of SQLite's file that are returned with one commit: 4 MB."""

DAY = 24 * 3600.0
"""Seconds."""


class Pruning:
    """Keep messages for so many days after they ended, whatever their destination, so that those of
    a direction that was switched off go too. What waits to be sent is never deleted."""

    def __init__(
        self,
        engine: Engine,
        sent_days: float,
        failed_days: float,
        least_days: float,
        loads: Loads | None = None,
    ) -> None:
        """Nothing is pruned before `least_days`: so long any sender may send it again. What is
        still to be loaded into a warehouse is kept for longer, but not for ever."""
        self._engine = engine
        self._loads = loads
        sent, failed = max(sent_days, least_days), max(failed_days, least_days)
        self._days = dict.fromkeys(("sent", "erased", "expired"), sent)
        self._days |= dict.fromkeys(("dead", "quarantined"), failed)

    def run(self, now: float, wait: Wait = time.sleep) -> Counter[str]:
        """Delete all that is old enough, or until `wait` returns something true. Returns how many
        messages were deleted, by state.

        SQLite's file shrinks when its log is next written back to it.
        """
        pruned: Counter[str] = Counter()
        for step in in_batches(lambda: self.step(now), wait):
            pruned += step
        for _ in in_batches(self._release_pages, wait):
            pass
        return pruned

    def step(self, now: float) -> Counter[str]:
        """Delete at most `STEP` messages. Returns how many, by state."""
        pruned: Counter[str] = Counter()
        with self._engine.begin() as connection:
            oldest = self._loads.oldest(connection) if self._loads else None
            for state, days in self._days.items():
                most, before = STEP - pruned.total(), now - days * DAY
                old = self._old(connection, before, oldest)
                pruned[state] = _prune(connection, state, old, most)
            prune_traffic(connection, now - self._days["sent"] * DAY)
            prune_skipped(connection, now - self._days["sent"] * DAY)
            prune_answers(connection, now - self._days["dead"] * DAY)
        self._release_pages()
        return +pruned

    def _old(
        self, connection: Connection, before: float, oldest: float | None
    ) -> tuple[ColumnElement[bool], ...]:
        """The conditions that an event which ended before `before` may go. `oldest` is when the
        first event came that is still to be loaded.

        By time alone it is found in the index which events may go, however many have to stay. The
        other condition is for events whose order by time is not that by which they are loaded.
        """
        if self._loads is None or oldest is None:
            return (events.c.settled_at < before,)
        too_old = before - GRACE
        may_go = or_(events.c.settled_at < too_old, not_(self._loads.is_waiting(connection)))
        return (events.c.settled_at < max(min(before, oldest), too_old), may_go)

    def _release_pages(self) -> int:
        """Return unused pages of SQLite's file to the operating system. Returns how many."""
        if self._engine.dialect.name != "sqlite":
            return 0
        with reader(self._engine) as connection:
            return release_free_pages(connection, PAGES)


def _prune(
    connection: Connection, state: str, conditions: Iterable[ColumnElement[bool]], most: int
) -> int:
    old = (
        select(
            events.c.id,
            func.length(bodies.c.raw) + func.length(func.coalesce(bodies.c.payload, "")),
        )
        .select_from(whole)
        .where(events.c.state == state, IS_SETTLED, *conditions)
        .order_by(events.c.settled_at)
        .limit(most)
        .with_for_update(skip_locked=True, of=events)
    )
    ids = within(map(tuple, connection.execute(old)))
    connection.execute(delete(events).where(events.c.id.in_(ids)))
    return len(ids)
