"""Translate quarantined messages again, by today's rules.

Each step is one short transaction that checks the state it expects. So any number may run at once,
and one that was interrupted can be run again.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Text,
    delete,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe, dialect_of, is_of_content, reader
from app.database.sql import storable
from app.database.tables import bodies, columns_of, events, whole
from app.errors import FieldErrors
from app.logs import get_logger
from app.outbox import reasons
from app.outbox.messages import Ignored, Message, errors_to_text
from app.outbox.outcomes import Outcome

log = get_logger(__name__)

Translate = Callable[[bytes, float, str], Message | Ignored]
"""Called with a body, the time of its receipt, and the account that it has to belong to, or ""."""


@dataclass(frozen=True)
class Quarantined:
    """What is needed of a quarantined message."""

    id: int
    account: str
    raw: bytes
    received_at: float


_QUARANTINED = (
    select(*columns_of(field.name for field in fields(Quarantined)))
    .select_from(whole)
    .where(events.c.state == "quarantined")
)


class Retranslation:
    """Translate the quarantined messages for one destination. Times are in seconds since the epoch,
    and are always passed in. All methods raise `SQLAlchemyError` if the database is out of reach.
    """

    def __init__(self, engine: Engine, destination: str, translate: Translate) -> None:
        self._engine = engine
        self._destination = destination
        self._translate = translate
        self._dialect = dialect_of(engine)

    def again(self, id_: int, now: float) -> Outcome:
        """Translate one message again: what can be read now is due at `now`, the rest stays, with
        today's errors."""
        with reader(self._engine) as connection:
            row = connection.execute(_QUARANTINED.where(events.c.id == id_)).mappings().first()
        if row is None:
            return "gone"
        kept = Quarantined(**row)
        message = self._translate(kept.raw, kept.received_at, kept.account)
        if isinstance(message, Ignored):
            return "ignored" if self.discard(id_) else "gone"
        if message.payload is None:
            return "unreadable" if self.explain(id_, message.errors) else "gone"
        try:
            is_new = self.release(id_, message, now)
        except SQLAlchemyError as error:
            if not is_of_content(error):
                raise
            log.warning("refused by the database, event left in quarantine", reason=describe(error))
            return "unreadable"
        if is_new is None:
            return "gone"
        return "requeued" if is_new else "duplicate"

    def release(self, id_: int, message: Message, now: float) -> bool | None:
        """Replace a quarantined message, which can be read now, by a pending one that is due, with
        what goes together with it.

        Returns False if that message was kept before, None if this one is no longer quarantined.
        The new message is put first: while that waits for another process's put of the same
        message, it holds no lock that the other may wait for.
        """
        here = (events.c.id == id_, events.c.state == "quarantined")
        with self._engine.connect() as connection:
            is_new = {
                each.message_id: self._put_beside(connection, id_, each, now)
                for each in message.together
            }
            if connection.execute(delete(events).where(*here)).rowcount == 0:
                connection.rollback()
                return None
            connection.commit()
        return is_new[message.message_id]

    def _put_beside(self, connection: Connection, id_: int, message: Message, now: float) -> bool:
        """Put a message with the body of a quarantined one. Returns False if it was kept before."""
        here = (events.c.id == id_, events.c.state == "quarantined")
        values: dict[str, ColumnElement[Any]] = {
            "destination": literal(self._destination),
            "message_id": literal(message.message_id),
            "account": literal(message.account),
            "collection": literal(message.collection, Text),
            "email": literal(message.email and storable(message.email.lower()), Text),
            "state": literal("pending"),
            "received_at": events.c.received_at,
            "due_at": literal(now),
            "tries": literal(0),
            "person": literal(message.person, Text),
        }
        put = self._dialect.insert(events).from_select(
            list(values), select(*values.values()).where(*here)
        )
        put = put.on_conflict_do_nothing(index_elements=[events.c.message_id, events.c.destination])
        new = connection.scalar(put.returning(events.c.id))
        if new is not None:
            connection.execute(_take_body(id_, new, message.payload))
        return new is not None

    def discard(self, id_: int) -> bool:
        """Delete one that is nothing to keep. Returns False if it is no longer quarantined."""
        statement = delete(events).where(events.c.id == id_, events.c.state == "quarantined")
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount == 1

    def explain(self, id_: int, errors: FieldErrors) -> bool:
        """Leave one in quarantine, with new errors. Returns False if it is there no longer."""
        values = {"error": errors_to_text(errors), "reason": reasons.of_errors(errors)}
        here = (events.c.id == id_, events.c.state == "quarantined")
        with self._engine.begin() as connection:
            return connection.execute(update(events).where(*here).values(values)).rowcount == 1


def _take_body(old: int, new: int, payload: str | None) -> Insert:
    values = (literal(new), literal(payload, Text), bodies.c.raw)
    return insert(bodies).from_select(list(bodies.c), select(*values).where(bodies.c.event == old))
