"""Requeue messages: make dead ones due again, and translate quarantined ones again.

Each step is one short transaction that checks the state it expects. So any number may run at once,
and one that was interrupted can be run again.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Insert,
    Text,
    Update,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from app.database.engine import describe, dialect_of, is_of_content, reader
from app.database.sql import IS_SETTLED, storable
from app.database.tables import bodies, columns_of, events, whole
from app.errors import FieldErrors
from app.logs import get_logger
from app.outbox.batches import Wait, in_batches
from app.outbox.messages import Attempt, Ignored, Message, attempt_to_line, errors_to_text

log = get_logger(__name__)

STEP = 300
"""Dead messages that are made due with one commit."""

PAGE = 20
"""Quarantined messages in memory at once: a body may be 1 MiB."""

Outcome = Literal["requeued", "duplicate", "ignored", "unreadable", "gone", "unknown", "left alone"]
"""What became of one message."""

WORDS: dict[Outcome, str] = {
    "requeued": "due now",
    "duplicate": "kept already, so the quarantined copy went",
    "ignored": "nothing that is sent, so it went",
    "unreadable": "still cannot be read and stays in quarantine",
    "gone": "another process was quicker",
    "unknown": "no event has this id",
    "left alone": "neither dead nor quarantined, so it was left alone",
}
"""How an outcome is shown to the operator."""

Translate = Callable[[bytes, float, str], Message | Ignored]
"""Called with a body, the time of its receipt, and the account that it has to belong to, or ""."""


@dataclass(frozen=True)
class Kept:
    """What a requeue needs of a message."""

    id: int
    account: str
    state: str
    raw: bytes
    received_at: float
    settled_at: float | None

    @property
    def place(self) -> "Place":
        """Its place in the order of `quarantined`."""
        return self.settled_at or 0.0, self.id


Place = tuple[float, int]

START: Place = (0.0, 0)

_KEPT = select(*columns_of(field.name for field in fields(Kept))).select_from(whole)


class Requeue:
    """Requeue the messages for one destination. Times are in seconds since the epoch, and are
    always passed in."""

    def __init__(self, engine: Engine, destination: str, translate: Translate) -> None:
        self._engine = engine
        self._destination = destination
        self._is_ours = events.c.destination == destination
        self._translate = translate
        self._dialect = dialect_of(engine)

    def find(self, message_id: str) -> Kept | None:
        """The message with this id, in any state."""
        statement = _KEPT.where(events.c.message_id == storable(message_id), self._is_ours)
        with reader(self._engine) as connection:
            row = connection.execute(statement).mappings().one_or_none()
        return Kept(**row) if row else None

    def count(self, state: str, received_before: float | None = None) -> int:
        """How many messages are in this state, dead or quarantined; if given, only those received
        before this time."""
        statement = select(func.count()).where(events.c.state == state, IS_SETTLED, self._is_ours)
        if received_before is not None:
            statement = statement.where(events.c.received_at < received_before)
        with reader(self._engine) as connection:
            return connection.scalar(statement) or 0

    def requeue_some_dead(self, now: float) -> int:
        """Make due the next dead messages, those that died first. Returns how many.

        Only messages that had died by `now`: one that dies again in the meantime would otherwise be
        requeued for ever.
        """
        dead = (
            select(events.c.id)
            .where(events.c.state == "dead", IS_SETTLED, self._is_ours)
            .where(events.c.settled_at <= now)
            .order_by(events.c.settled_at)
            .limit(STEP)
            .with_for_update(skip_locked=True)
        )
        with self._engine.begin() as connection:
            ids = connection.scalars(dead).all()
            connection.execute(_again(ids, now))
        return len(ids)

    def requeue_dead(self, id_: int, now: float) -> bool:
        """Make one message due. Returns False if it is not dead any more."""
        with self._engine.begin() as connection:
            return connection.execute(_again([id_], now)).rowcount == 1

    def quarantined(self, after: Place, until: float, most: int) -> list[Kept]:
        """The next quarantined messages, in the order in which they were quarantined."""
        settled_at, id_ = events.c.settled_at, events.c.id
        statement = (
            _KEPT.where(events.c.state == "quarantined", IS_SETTLED, self._is_ours)
            .where(tuple_(settled_at, id_) > after, settled_at <= until)
            .order_by(settled_at, id_)
            .limit(most)
        )
        with reader(self._engine) as connection:
            return [Kept(**row) for row in connection.execute(statement).mappings()]

    def release(self, id_: int, message: Message, now: float) -> bool | None:
        """Replace a quarantined message, which can be read now, by a pending one that is due, with
        its follow-ups behind it.

        Returns False if that message was kept before, None if this one is no longer quarantined.
        The new message is put first: while that waits for another process's put of the same
        message, it holds no lock that the other may wait for.
        """
        here = (events.c.id == id_, events.c.state == "quarantined")
        with self._engine.connect() as connection:
            is_new = self._put_beside(connection, id_, message, now)
            for follow_up in message.follow_ups:
                self._put_beside(connection, id_, follow_up, now)
            if connection.execute(delete(events).where(*here)).rowcount == 0:
                connection.rollback()
                return None
            connection.commit()
        return is_new

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
        """Leave one in quarantine, with new reasons. Returns False if it is there no longer."""
        values = {"error": errors_to_text(errors)}
        here = (events.c.id == id_, events.c.state == "quarantined")
        with self._engine.begin() as connection:
            return connection.execute(update(events).where(*here).values(values)).rowcount == 1

    def requeue_quarantined(self, now: float, wait: Wait) -> Counter[Outcome]:
        """Translate again all that had been quarantined by `now`. Returns how many became what."""
        outcomes: Counter[Outcome] = Counter()
        last = START

        def step() -> list[Kept]:
            page = self.quarantined(last, now, PAGE)
            outcomes.update(self._translate_again(event, now) for event in page)
            return page

        for page in in_batches(step, wait):
            last = page[-1].place
        return outcomes

    def requeue_one(self, message_id: str, now: float) -> Outcome:
        """Requeue one dead or quarantined message."""
        message = self.find(message_id)
        if message is None:
            return "unknown"
        if message.state == "quarantined":
            return self._translate_again(message, now)
        if message.state == "dead":
            return "requeued" if self.requeue_dead(message.id, now) else "gone"
        return "left alone"

    def _translate_again(self, kept: Kept, now: float) -> Outcome:
        message = self._translate(kept.raw, kept.received_at, kept.account)
        if isinstance(message, Ignored):
            return "ignored" if self.discard(kept.id) else "gone"
        if message.payload is None:
            return "unreadable" if self.explain(kept.id, message.errors) else "gone"
        try:
            is_new = self.release(kept.id, message, now)
        except SQLAlchemyError as error:
            if not is_of_content(error):
                raise
            log.warning("refused by the database, event left in quarantine", reason=describe(error))
            return "unreadable"
        if is_new is None:
            return "gone"
        return "requeued" if is_new else "duplicate"


def _take_body(old: int, new: int, payload: str | None) -> Insert:
    values = (literal(new), literal(payload, Text), bodies.c.raw)
    return insert(bodies).from_select(list(bodies.c), select(*values).where(bodies.c.event == old))


def _again(ids: Sequence[int], now: float) -> Update:
    line = attempt_to_line(Attempt(now, "requeued"))
    return (
        update(events)
        .where(events.c.id.in_(ids), events.c.state == "dead")
        .values(state="pending", due_at=now, tries=0, lease=None, settled_at=None, error=None)
        .values(history=func.coalesce(events.c.history, "") + line)
    )
