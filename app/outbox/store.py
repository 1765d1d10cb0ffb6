"""An event's way through the outbox, for both engines: put, claim, renew, settle.

A claim is a lease: it moves an event's `due_at` to the lease's end and writes the claim's token
beside it. A deliverer that dies leaves nothing to clean up: its events fall due again. Every later
statement of a claim names its token, so one that overslept cannot undo another's work.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    CursorResult,
    Engine,
    LargeBinary,
    Text,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from app.database.engine import dialect_of, reader, synced_later
from app.database.sql import IS_PENDING, WAITING_ACCOUNTS, storable
from app.database.statements import Prepared, PreparedInsert, among, ids_to_value
from app.database.tables import bodies, columns_of, events, pauses, whole
from app.outbox.messages import (
    Attempt,
    Claimed,
    Failed,
    Lease,
    Message,
    Released,
    Sent,
    Settlement,
    attempt_to_line,
    errors_to_text,
)
from app.outbox.traffic import Traffic

_IS_DUE = """
    AND (SELECT due_at FROM events
         WHERE state = 'pending' AND destination = :destination
               AND events.account = accounts.account ORDER BY due_at LIMIT 1) <= :now
"""


class Store:
    """The messages for one destination. Times are seconds since the epoch, and are always passed
    in."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self.engine = engine
        self.destination = destination
        # a single SELECT is its own transaction: no BEGIN, so no write lock on SQLite
        # a claim or a settlement that is lost with the power is made again, and nothing else is
        self._settling = synced_later(engine)
        self._dialect = dialect_of(engine)
        put = (
            self._dialect.insert(events)
            .inline()
            .on_conflict_do_nothing(index_elements=[events.c.message_id, events.c.destination])
        )
        self._put_all = PreparedInsert(engine, put, _COLUMNS)
        self._put_each = put.returning(events.c.message_id)
        self._put_bodies = PreparedInsert(
            engine, PUT_BODY, ("message_id", "destination", "payload", "raw")
        )
        self._due = Prepared(engine, _DUE)
        self._take = Prepared(
            engine,
            update(events)
            .where(among(engine, events.c.id))
            .values(due_at=bindparam("until"), lease=bindparam("token")),
        )
        self._ours = update(events).where(
            among(engine, events.c.id), events.c.lease == bindparam("token"), IS_PENDING
        )
        sent = self._ours.values(_ended("sent", bindparam("now")))
        self._sent_all = Prepared(engine, sent)
        self._sent_each = Prepared(engine, sent.returning(events.c.collection))
        self._traffic = Traffic(engine, destination)

    def put(self, messages: Sequence[Message]) -> set[str]:
        """Keep them: on disk on return. Gives the message ids that are new."""
        rows = [self._to_row(message) for message in messages]
        by_id = {row["message_id"]: row for row in reversed(rows)}  # of copies the first is kept
        with self.engine.connect() as connection:
            if self._put_all.insert(connection, rows) == len(rows):
                new = set(by_id)
            else:  # repeats among them: which, is only told the slow way
                connection.rollback()
                new = set(connection.scalars(self._put_each, rows))
            if new:
                self._put_bodies.insert(connection, [by_id[name] for name in new])
            came = Counter((by_id[name]["received_at"], by_id[name]["collection"]) for name in new)
            self._traffic.count(connection, "received", came)
            connection.commit()
        return new

    def _to_row(self, message: Message) -> dict[str, Any]:
        is_readable = message.payload is not None
        return {
            "destination": self.destination,
            "message_id": message.message_id,
            "account": message.account,
            "collection": message.collection,
            "email": message.email and storable(message.email.lower()),
            "state": "pending" if is_readable else "quarantined",
            "payload": message.payload,
            "raw": message.raw,
            "received_at": message.received_at,
            "due_at": message.received_at,
            "tries": 0,
            "error": errors_to_text(message.errors) if message.errors else None,
            "settled_at": None if is_readable else message.received_at,
        }

    def due_accounts(self, now: float) -> list[str]:
        """The accounts that have events to send now."""
        with reader(self.engine) as connection:
            return list(
                connection.scalars(
                    text(WAITING_ACCOUNTS + _IS_DUE), {"now": now, "destination": self.destination}
                )
            )

    def claim(
        self, accounts: Iterable[str], now: float, until: float, most_events: int, most_bytes: int
    ) -> Lease:
        """Take the events of these accounts, in this order, that have been due for longest: as many
        as fit, until the lease ends at `until`.

        Claims that run at once take different events: PostgreSQL skips rows that another has
        locked, SQLite's writers take turns.
        """
        due: list[Claimed] = []
        with self._settling.begin() as connection:
            for account in accounts:
                wanted = {
                    "destination": self.destination,
                    "whose": account,
                    "now": now,
                    "most_events": most_events - len(due),
                }
                due += map(Claimed._make, self._due.rows(connection, wanted))
                if len(due) == most_events:
                    break
            lease = Lease(uuid4().hex, _fitting(due, most_bytes))
            self._take.run(connection, {"until": until, **self._names(lease)})
        return lease

    def renew(self, lease: Lease, until: float) -> bool:
        """Hold the events longer; False if any of them is no longer this claim's."""
        return self._update(lease, {"due_at": until}) == len(lease.messages)

    def settle(self, lease: Lease, settlement: Settlement) -> Counter[str]:
        """Carry it out for the messages that are still this claim's: how many became what."""
        match settlement:
            case Sent():
                return +Counter(sent=self._mark_sent(lease, settlement.at))
            case Released():
                why = {"error": storable(settlement.why)} if settlement.why else {}
                values = {"due_at": settlement.due, "lease": None, **why}
                return +Counter(released=self._update(lease, values))
            case Failed():
                dead = lease.only(each for each in lease.messages if each.id not in settlement.due)
                later = self._reschedule(lease, settlement)
                return +Counter(later=later, dead=self._mark_dead(dead, settlement.attempt))

    def _mark_sent(self, lease: Lease, now: float) -> int:
        given = self._names(lease) | {"now": now}
        with self._settling.connect() as connection:
            if self._sent_all.run(connection, given).rowcount == len(lease.messages):
                sent = Counter(message.collection for message in lease.messages)
            else:  # some are another's by now: which, only the slower statement says
                connection.rollback()
                sent = Counter(name for (name,) in self._sent_each.run(connection, given))
            went = {(now, collection): count for collection, count in sent.items()}
            self._traffic.count(connection, "sent", went)
            connection.commit()
        return sent.total()

    def _mark_dead(self, lease: Lease, attempt: Attempt) -> int:
        values = {**_ended("dead", attempt.at), **_failed(attempt)}
        return self._update(lease, values) if lease.messages else 0

    def _reschedule(self, lease: Lease, settlement: Failed) -> int:
        """Each is due again at its own time."""
        statement = (
            update(events)
            .where(events.c.id == bindparam("event"), events.c.lease == lease.token, IS_PENDING)
            .values(due_at=bindparam("due"), lease=None, tries=events.c.tries + 1)
            .values(_failed(settlement.attempt))
        )
        due = [{"event": id_, "due": at} for id_, at in settlement.due.items()]
        return self._run(statement, due) if due else 0

    def pause_account(self, account: str, until: float, reason: str) -> None:
        """The account's key was refused: nothing of it is sent until then."""
        values = {"until": until, "reason": reason}
        named = {"destination": self.destination, "account": account}
        statement = self._dialect.insert(pauses).values(**named, **values)
        with self._settling.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[*pauses.primary_key], set_=values)
            )

    def resume_accounts(self, *accounts: str) -> None:
        """The key of these accounts was good."""
        with self._settling.begin() as connection:
            connection.execute(
                delete(pauses).where(
                    pauses.c.destination == self.destination, pauses.c.account.in_(accounts)
                )
            )

    def _names(self, lease: Lease) -> dict[str, Any]:
        ids = ids_to_value(self.engine, [event.id for event in lease.messages])
        return {"ids": ids, "token": lease.token}

    def _update(self, lease: Lease, values: Mapping[str, Any]) -> int:
        return self._run(self._ours.values(values), self._names(lease))

    def _run(self, statement: Update, given: dict[str, Any] | list[dict[str, Any]]) -> int:
        with self._settling.begin() as connection:
            result: CursorResult[Any] = connection.execute(statement, given)
            return result.rowcount


_DUE = (
    select(*columns_of(Claimed._fields))
    .select_from(whole)
    .where(IS_PENDING, events.c.destination == bindparam("destination"))
    .where(events.c.account == bindparam("whose"))
    .where(events.c.due_at <= bindparam("now"))
    .order_by(events.c.due_at, events.c.id)
    .limit(bindparam("most_events"))
    # SQLite has no such clause, and is asked for none
    .with_for_update(skip_locked=True, of=events)
)


def _fitting(due: Sequence[Claimed], most_bytes: int) -> tuple[Claimed, ...]:
    """The first of them, whose payloads together are not over `most_bytes`."""
    totals = accumulate(len(event.payload) for event in due)
    return tuple(event for event, total in zip(due, totals, strict=True) if total <= most_bytes)


def _ended(state: str, now: Any) -> dict[str, Any]:
    return {
        "state": state,
        "settled_at": now,
        "lease": None,
        "tries": events.c.tries + 1,
        "error": None,
    }


def _failed(failed: Attempt) -> dict[str, Any]:
    line = attempt_to_line(failed)
    return {
        "error": storable(f"{failed.reason} {failed.words}".strip()),
        "history": func.coalesce(events.c.history, "") + line,
    }


_COLUMNS = (
    *("destination", "message_id", "account", "collection", "email", "state"),
    *("received_at", "due_at", "tries", "error", "settled_at"),
)

PUT_BODY = (
    insert(bodies)
    .inline()
    .values(
        event=select(events.c.id)
        .where(
            events.c.message_id == bindparam("message_id"),
            events.c.destination == bindparam("destination"),
        )
        .scalar_subquery(),
        payload=bindparam("payload", type_=Text),
        raw=bindparam("raw", type_=LargeBinary),
    )
)
