"""A clock that has jumped prunes nothing, and what it put off is made due.

Times are seconds since the epoch, and are always passed in.
"""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Engine, select, text, update

from app.database.engine import dialect_of, reader
from app.database.sql import IS_PENDING, IS_SETTLED, WAITING_ACCOUNTS
from app.database.tables import alerts, clock, events, pauses
from app.logs import get_logger
from app.outbox.batches import Wait, in_batches
from app.outbox.traffic import NEWEST

log = get_logger(__name__)

GAP = 24 * 3600.0
"""Seconds that may pass unseen: longer, and the clock may have jumped, or the bridge was off."""

HOLD = 2 * 3600.0
"""Seconds for which a clock has to run evenly until it is believed after a gap."""

JUMP = 60.0
"""Seconds by which the clock may be set at once and still runs evenly."""

FURTHEST = 2 * 3600.0
"""Seconds ahead: nothing waits that long for its next try (`RetryPolicy.longest`)."""

STEP = 300
"""Events that are changed with one commit."""

ENDS = ("sent", "erased", "dead", "quarantined")


class Clock:
    """Whether the time of day may decide that something is old."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        insert = dialect_of(engine).insert(clock)
        self._note = insert.on_conflict_do_update(
            index_elements=[clock.c.id], set_={"seen_at": insert.excluded.seen_at}
        )
        self._offset: float | None = None
        self._even_since = 0.0
        """By the clock that nobody sets."""

    def is_believed(self, now: float, steady: float) -> bool:
        """To be asked every now and then; `steady` is by a clock that nobody sets.

        Believed is a time near the last that was; after a gap, one that runs evenly for long.
        """
        if self._offset is None or abs(now - steady - self._offset) > JUMP:
            self._even_since = steady
        self._offset = now - steady
        seen_at = self.seen_at()
        if seen_at is None or abs(now - seen_at) <= GAP or steady - self._even_since >= HOLD:
            self.believe(now)
            return True
        if self._even_since == steady:
            log.warning("the clock jumped, or nothing ran: nothing is pruned for 2 hours")
        return False

    def seen_at(self) -> float | None:
        """The last time that was believed, or when the newest event came; None of neither."""
        with reader(self._engine) as connection:
            noted: float | None = connection.scalar(select(clock.c.seen_at))
            return connection.scalar(NEWEST) if noted is None else noted

    def believe(self, now: float) -> None:
        """Note it as right."""
        with self._engine.begin() as connection:
            connection.execute(self._note, {"id": 1, "seen_at": now})


def make_due(
    engine: Engine, destinations: Iterable[str], now: float, wait: Wait = time.sleep
) -> int:
    """What was kept or put off by a clock far ahead of this one is due now; how many events."""
    with engine.begin() as connection:
        for table, until in ((alerts, alerts.c.due_at), (pauses, pauses.c.until)):
            far = until > now + FURTHEST
            connection.execute(update(table).where(far).values({until: now}))
    made_due = 0
    for name in destinations:
        made_due += sum(in_batches(partial(_make_some_due, engine, name, now), wait))
    if made_due:
        log.warning("events were put off by a clock far ahead, and are due now", events=made_due)
    return made_due


def bring_back(engine: Engine, now: float, wait: Wait = time.sleep) -> None:
    """What came or ended by a clock far ahead did so now, or it would be kept until then. To be
    done by a clock that is believed."""
    far = now + FURTHEST
    came_ahead = (IS_PENDING, events.c.received_at > far)
    ended_ahead = (IS_SETTLED, events.c.state.in_(ENDS), events.c.settled_at > far)
    for _ in in_batches(lambda: _change_some(engine, came_ahead, received_at=now), wait):
        pass
    for _ in in_batches(lambda: _change_some(engine, ended_ahead, settled_at=now), wait):
        pass


def _make_some_due(engine: Engine, destination: str, now: float) -> int:
    far = now + FURTHEST
    given = {"destination": destination, "far": far}
    with reader(engine) as connection:
        accounts = connection.scalars(text(WAITING_ACCOUNTS + _PUT_OFF), given).all()
    is_ours = (events.c.destination == destination, events.c.account.in_(accounts))
    put_off = (IS_PENDING, *is_ours, events.c.due_at > far)
    return _change_some(engine, put_off, due_at=now, lease=None) if accounts else 0


def _change_some(engine: Engine, which: Iterable[ColumnElement[bool]], **values: Any) -> int:
    some = select(events.c.id).where(*which).limit(STEP).with_for_update(skip_locked=True)
    with engine.begin() as connection:
        ids = connection.scalars(some).all()
        connection.execute(update(events).where(events.c.id.in_(ids)).values(values))
    return len(ids)


_PUT_OFF = """
    AND (SELECT due_at FROM events
         WHERE state = 'pending' AND destination = :destination
               AND events.account = accounts.account ORDER BY due_at DESC LIMIT 1) > :far
"""
