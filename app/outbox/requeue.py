"""Give messages another go: make them due now, or translate rejected ones again.

Each step is one short transaction that checks the state it expects. So any number may run at once,
and one that was interrupted can be run again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, and_, func, or_, select, update

from app.database.engine import reader
from app.database.sql import IS_PENDING, storable
from app.database.tables import events
from app.outbox.messages import Attempt, attempt_to_line
from app.outbox.outcomes import Outcome
from app.outbox.retranslation import Retranslation, Translate

ENDED = ("dead", "expired")
"""The states of messages that were given up."""

ISSUES = (*ENDED, "quarantined")
"""The states of messages that an operator has to look after."""

IS_DISMISSIBLE = and_(events.c.state.in_(ISSUES), events.c.dismissed_at.is_(None))


def is_later(now: float) -> ColumnElement[bool]:
    """Whether a message failed, and would be tried again after `now`."""
    is_free = events.c.lease.is_(None)
    return and_(IS_PENDING, is_free, events.c.reason.is_not(None), events.c.due_at > now)


def is_retriable(now: float) -> ColumnElement[bool]:
    """Whether a retry may change the message."""
    return or_(events.c.state.in_(ISSUES), is_later(now))


@dataclass(frozen=True)
class Kept:
    """What a requeue needs to know of a message."""

    id: int
    state: str
    received_at: float


class Requeue:
    """Requeue the messages for one destination. Times are in seconds since the epoch, and are
    always passed in. All methods raise `SQLAlchemyError` if the database is out of reach."""

    def __init__(
        self, engine: Engine, destination: str, translate: Translate, delay: float = 0.0
    ) -> None:
        """`delay` is how many seconds a message that failed has to wait at least, because the
        destination may still be at work on it."""
        self._engine = engine
        self._is_ours = events.c.destination == destination
        self._delay = delay
        self._retranslation = Retranslation(engine, destination, translate)

    def find(self, message_id: str) -> Kept | None:
        """The message with this id, in any state."""
        statement = select(events.c.id, events.c.state, events.c.received_at).where(
            events.c.message_id == storable(message_id), self._is_ours
        )
        with reader(self._engine) as connection:
            row = connection.execute(statement).one_or_none()
        return Kept(*row) if row else None

    def one(self, message_id: str, now: float) -> Outcome:
        """Requeue one message, whatever it waits for."""
        message = self.find(message_id)
        if message is None:
            return "unknown"
        (outcome,) = self.some([message.id], now)
        return outcome

    def some(self, ids: Sequence[int], now: float) -> Counter[Outcome]:
        """Requeue these messages. Returns how many became what."""
        with reader(self._engine) as connection:
            found = select(events.c.id).where(events.c.id.in_(ids), self._is_ours)
            rejected = connection.scalars(found.where(events.c.state == "quarantined")).all()
        outcomes = Counter(self._retranslation.again(id_, now) for id_ in rejected)
        others = [id_ for id_ in ids if id_ not in {*rejected}]
        requeued = self._make_due(others, now) if others else 0
        outcomes["requeued"] += requeued
        outcomes["left alone"] += len(others) - requeued
        return +outcomes

    def dismiss(self, ids: Sequence[int], now: float) -> int:
        """Put aside what failed or was rejected: it is kept, and no longer counts as an issue.
        Returns how many messages that were."""
        statement = self._change(ids, IS_DISMISSIBLE)
        with self._engine.begin() as connection:
            return connection.execute(statement.values(dismissed_at=now)).rowcount

    def _make_due(self, ids: Sequence[int], now: float) -> int:
        """Make due what was given up, and what failed and would be tried later."""
        by_hand = {
            "history": func.coalesce(events.c.history, "") + _by_hand(now),
            "dismissed_at": None,
        }
        again = {"state": "pending", "due_at": now, "tries": 0, "lease": None, "settled_at": None}
        again |= {"error": None, "reason": None, **by_hand}
        soon = now + self._delay
        with self._engine.begin() as connection:
            dead = connection.execute(self._change(ids, events.c.state == "dead").values(again))
            expired = connection.execute(
                self._change(ids, events.c.state == "expired").values({**again, "person": ""})
            )
            failed = connection.execute(
                self._change(ids, is_later(soon)).values({"due_at": soon, **by_hand})
            )
        return dead.rowcount + expired.rowcount + failed.rowcount

    def _change(self, ids: Sequence[int], *conditions: ColumnElement[bool]) -> Any:
        return update(events).where(events.c.id.in_(ids), self._is_ours, *conditions)


def _by_hand(now: float) -> str:
    """The line of a message's history for an operator's retry."""
    return attempt_to_line(Attempt(now, "retried by hand"))
