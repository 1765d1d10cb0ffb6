"""Read and lease the messages of a destination that wants each person's messages in order.

Of each person only the oldest message that is still to be sent may be next. So a message that has
to wait holds back the later ones of its person, and nobody else's.
"""

from collections.abc import Collection, Sequence
from uuid import uuid4

from sqlalchemy import ColumnElement, bindparam, func, select, update

from app.database.engine import reader
from app.database.sql import IS_PENDING, is_open
from app.database.tables import columns_of, events, whole
from app.outbox.messages import Claimed, Lease
from app.outbox.store import Store

_same = events.alias("same")


class OrderedStore(Store):
    """The messages for one such destination. Only the process whose turn it is for an account
    (`turns.py`) may call these methods for it. Times are in seconds since the epoch."""

    def count_due(self, account: str, now: float, most: int) -> int:
        """How many messages of the account are due, counted up to `most`."""
        due = select(events.c.id).where(*self._is_due(account, now)).limit(most)
        with reader(self.engine) as connection:
            return connection.scalar(select(func.count()).select_from(due.subquery())) or 0

    def count_waiting(self, account: str, collections: Collection[str]) -> int:
        """How many messages of the account are to be sent, now or later, that are of these
        collections."""
        waiting = select(func.count()).where(
            IS_PENDING,
            events.c.destination == self.destination,
            events.c.account == account,
            events.c.collection.in_(collections),
        )
        with reader(self.engine) as connection:
            return connection.scalar(waiting) or 0

    def oldest_due(self, account: str, now: float) -> float | None:
        """Since when the message has been due that has been due for longest, or None."""
        with reader(self.engine) as connection:
            return connection.scalar(
                select(events.c.due_at)
                .where(*self._is_due(account, now))
                .order_by(events.c.due_at)
                .limit(1)
            )

    def heads(self, account: str, now: float, most: int) -> list[Claimed]:
        """The messages that are due and the first of their persons, the longest due first."""
        values = {"whose": account, "now": now, "most": most, "destination": self.destination}
        with reader(self.engine) as connection:
            return [Claimed._make(row) for row in connection.execute(_HEADS, values)]

    def followers(
        self, account: str, now: float, people: Collection[str], most: int
    ) -> list[Claimed]:
        """What is to be sent of these persons, each in its order, up to the first that is not due;
        heads included."""
        statement = (
            select(*columns_of(Claimed._fields), events.c.due_at)
            .select_from(whole)
            .where(*self._is_waiting(account), events.c.person.in_(people))
            .order_by(events.c.id)
            .limit(most)
        )
        found, stopped = [], set()
        with reader(self.engine) as connection:
            for *values, due_at in connection.execute(statement):
                message = Claimed._make(values)
                if due_at > now:
                    stopped.add(message.person)
                if message.person not in stopped:
                    found.append(message)
        return found

    def lease(self, messages: Sequence[Claimed], now: float, until: float) -> Lease:
        """Lease these messages until `until`: all of them, or none if one is not due any more. Then
        another process has leased it, although it is not its turn: after a step of the clock."""
        token = uuid4().hex
        ids = [message.id for message in messages]
        taken = (
            update(events)
            .where(events.c.id.in_(ids), IS_PENDING, events.c.due_at <= now)
            .values(due_at=until, lease=token)
        )
        with self.engine.connect() as connection:
            if connection.execute(taken).rowcount < len(ids):
                return Lease(token, ())
            connection.commit()
        return Lease(token, tuple(messages))

    def move(self, account: str, to: str) -> None:
        """Give all that is to be sent of one account to another: a message that named no account
        belongs to the one that counts as its own by now."""
        statement = (
            update(events)
            .where(IS_PENDING, events.c.destination == self.destination)
            .where(events.c.account == account)
            .values(account=to)
        )
        with self.engine.begin() as connection:
            connection.execute(statement)

    def delay(self, account: str, people: Collection[str], until: float) -> None:
        """Make nothing of these persons due before `until`. Leased messages stay as they are."""
        statement = (
            update(events)
            .where(*self._is_waiting(account), events.c.person.in_(people))
            .where(events.c.due_at < until, events.c.lease.is_(None))
            .values(due_at=until)
        )
        with self.engine.begin() as connection:
            connection.execute(statement)

    def _is_due(self, account: str, now: float) -> tuple[ColumnElement[bool], ...]:
        return (
            IS_PENDING,
            events.c.destination == self.destination,
            events.c.account == account,
            events.c.due_at <= now,
            events.c.person > "",
        )

    def _is_waiting(self, account: str) -> tuple[ColumnElement[bool], ...]:
        return (
            is_open(),
            IS_PENDING,
            events.c.destination == self.destination,
            events.c.account == account,
        )


# a subquery that returns a value: of NOT EXISTS, PostgreSQL makes a join over the whole table
_FIRST = (
    select(_same.c.id)
    .where(
        is_open("same"),
        _same.c.destination == events.c.destination,
        _same.c.person == events.c.person,
        _same.c.account == events.c.account,
    )
    .order_by(_same.c.id)
    .limit(1)
    .correlate(events)
    .scalar_subquery()
)
"""The id of the person's oldest message that is still to be sent."""

_HEADS = (
    select(*columns_of(Claimed._fields))
    .select_from(whole)
    .where(IS_PENDING, events.c.destination == bindparam("destination"))
    .where(events.c.account == bindparam("whose"))
    .where(events.c.due_at <= bindparam("now"), events.c.person > "")
    .where(events.c.id == _FIRST)
    .order_by(events.c.due_at, events.c.id)
    .limit(bindparam("most"))
)
