"""Protect messages from a clock that was wrong: prune nothing by it, and undo what it put off.

Times are in seconds since the epoch, and are always passed in.
"""

import time
from collections.abc import Iterable
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, select, text, update

from app.database.engine import dialect_of, reader
from app.database.sql import IS_PENDING, IS_SETTLED, WAITING_ACCOUNTS
from app.database.tables import alerts, answers, clock, deliverers, events
from app.logs import get_logger
from app.outbox.batches import Wait, in_batches
from app.outbox.traffic import NEWEST

log = get_logger(__name__)

GAP = 24 * 3600.0
"""Seconds. After a longer gap, either the clock has jumped or the bridge was off: pruning waits."""

HOLD = 2 * 3600.0
"""Seconds for which the clock has to run evenly after a gap before it is believed."""

JUMP = 60.0
"""Seconds. A clock that is set by no more than this still counts as running evenly."""

FURTHEST = 2 * 3600.0
"""Seconds ahead of now. Nothing is due later than that by a clock that is right: waits are shorter
(`RetryPolicy.longest`)."""

STEP = 300
"""Messages that are changed with one commit."""

ENDS = ("sent", "erased", "dead", "expired", "quarantined")
"""The states that pruning deletes."""


class Clock:
    """Decide whether the time of day is right, before pruning deletes anything by it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        insert = dialect_of(engine).insert(clock)
        self._note = insert.on_conflict_do_update(
            index_elements=[clock.c.id], set_={"seen_at": insert.excluded.seen_at}
        )
        self._offset: float | None = None
        self._even_since = 0.0
        """Since when the clock has run evenly, by the monotonic clock."""

    def is_believed(self, now: float, steady: float) -> bool:
        """Whether `now` is believed. `steady` is the time by a monotonic clock.

        A time is believed if it is within `GAP` of the last one that was, or if the clock has run
        evenly for `HOLD`. So this has to be called regularly.
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
        """The last time that was believed, or else when the newest message was received; None if
        there is neither."""
        with reader(self._engine) as connection:
            seen_at: float | None = connection.scalar(select(clock.c.seen_at))
            return connection.scalar(NEWEST) if seen_at is None else seen_at

    def believe(self, now: float) -> None:
        """Record that this time is right."""
        with self._engine.begin() as connection:
            connection.execute(self._note, {"id": 1, "seen_at": now})


def make_due(
    engine: Engine, destinations: Iterable[str], now: float, wait: Wait = time.sleep
) -> int:
    """Make due what was received or put off by a clock far ahead of this one. Returns how many
    messages that were."""
    with engine.begin() as connection:
        for column in (alerts.c.due_at, answers.c.failing_since, answers.c.recovered_at):
            far = column > now + FURTHEST
            connection.execute(update(column.table).where(far).values({column: now}))
        connection.execute(delete(deliverers).where(deliverers.c.started_at > now + FURTHEST))
    made_due = 0
    for name in destinations:
        made_due += sum(in_batches(partial(_make_some_due, engine, name, now), wait))
    if made_due:
        log.warning("events were put off by a clock far ahead, and are due now", events=made_due)
    return made_due


def bring_back(engine: Engine, now: float, wait: Wait = time.sleep) -> None:
    """Correct times of receipt and settlement that lie far ahead: they become `now`, or pruning
    would keep those messages until then. Call it only with a time that is believed."""
    far = now + FURTHEST
    came_ahead = (IS_PENDING, events.c.received_at > far)
    ended_ahead = (IS_SETTLED, events.c.state.in_(ENDS), events.c.settled_at > far)
    for _ in in_batches(lambda: _change_some(engine, came_ahead, received_at=now), wait):
        pass
    for _ in in_batches(lambda: _change_some(engine, ended_ahead, settled_at=now), wait):
        pass


def _make_some_due(engine: Engine, destination: str, now: float) -> int:
    far = now + FURTHEST
    values = {"destination": destination, "far": far}
    with reader(engine) as connection:
        accounts = connection.scalars(text(WAITING_ACCOUNTS + _PUT_OFF), values).all()
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
