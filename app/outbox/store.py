"""Put, claim, renew and settle messages, on either engine.

A claim is a lease. It moves a message's `due_at` to the end of the lease and writes the lease's
token beside it. If the deliverer dies, there is nothing to clean up: its messages fall due again.
Every later statement of a lease checks the token, so a deliverer that was delayed beyond its lease
cannot undo another's work.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    CursorResult,
    Engine,
    Update,
    bindparam,
    func,
    select,
    text,
    update,
)

from app.database.engine import reader, synced_later
from app.database.sql import IS_PENDING, WAITING_ACCOUNTS, storable
from app.database.statements import InsertMany, Prepared, among, ids_to_value
from app.database.tables import columns_of, events, whole
from app.outbox import reasons
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
    """The messages for one destination. Times are in seconds since the epoch, and are always passed
    in. All methods raise `SQLAlchemyError` if the database is out of reach."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self.engine = engine
        self.destination = destination
        # claims and settlements need not wait for the disk: after a power failure they are made
        # again, to the same end
        self._settling = synced_later(engine)
        self._put = InsertMany(
            engine,
            "events",
            _COLUMNS,
            "ON CONFLICT (message_id, destination) DO NOTHING RETURNING id, message_id",
        )
        self._put_bodies = InsertMany(engine, "bodies", ("event", "payload", "raw"))
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
        self._sent_each = Prepared(engine, sent.returning(events.c.collection, events.c.tries))
        self._traffic = Traffic(engine, destination)

    def put(self, messages: Sequence[Message]) -> set[str]:
        """Keep messages, each with what goes together: on return they are on disk. Returns
        the message ids that are new."""
        rows: dict[str, dict[str, Any]] = {}
        for message in messages:  # of copies the first is kept
            for each in message.together:
                rows.setdefault(each.message_id, self._to_row(each))
        with self.engine.connect() as connection:
            ids = self._put.run(connection, list(rows.values()))
            new = {message_id: {**rows[message_id], "event": id_} for id_, message_id in ids}
            self._put_bodies.run(connection, list(new.values()))
            came = Counter((row["received_at"], row["collection"]) for row in new.values())
            self._traffic.count(connection, received=came)
            connection.commit()
        return set(new)

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
            "reason": reasons.of_errors(message.errors) if message.errors else None,
            "person": message.person,
            "settled_at": None if is_readable else message.received_at,
        }

    def due_accounts(self, now: float) -> list[str]:
        """The accounts that have messages due now."""
        with reader(self.engine) as connection:
            return list(
                connection.scalars(
                    text(WAITING_ACCOUNTS + _IS_DUE), {"now": now, "destination": self.destination}
                )
            )

    def waiting_accounts(self) -> list[str]:
        """The accounts that have messages to be sent, now or later."""
        with reader(self.engine) as connection:
            return list(
                connection.scalars(text(WAITING_ACCOUNTS), {"destination": self.destination})
            )

    def claim(
        self, accounts: Iterable[str], now: float, until: float, most_events: int, most_bytes: int
    ) -> Lease:
        """Lease messages of these accounts, in this order, until `until`: those that have been due
        for longest, as many as fit.

        Claims that run at once take different messages: PostgreSQL skips rows that another has
        locked, and SQLite's writers take turns.
        """
        due: list[Claimed] = []
        with self._settling.begin() as connection:
            for account in accounts:
                values = {
                    "destination": self.destination,
                    "whose": account,
                    "now": now,
                    "most_events": most_events - len(due),
                }
                due += map(Claimed._make, self._due.rows(connection, values))
                if len(due) == most_events:
                    break
            lease = Lease(uuid4().hex, _fitting(due, most_bytes))
            self._take.run(connection, {"until": until, **self._names(lease)})
        return lease

    def renew(self, lease: Lease, until: float) -> bool:
        """Extend a lease. Returns False if any of its messages is no longer under it."""
        return self._update(lease, {"due_at": until}) == len(lease.messages)

    def settle(self, lease: Lease, settlement: Settlement) -> Counter[str]:
        """Write down what became of the messages that are still under this lease. Returns how many
        became what."""
        match settlement:
            case Sent():
                if settlement.note:
                    line = attempt_to_line(Attempt(settlement.at, "taken", settlement.note))
                    self._update(lease, {"history": func.coalesce(events.c.history, "") + line})
                return +Counter(sent=self._mark_sent(lease, settlement.at))
            case Released():
                values = {"due_at": settlement.due, "lease": None, **_released(settlement.why)}
                return +Counter(released=self._update(lease, values))
            case Failed():
                dead = lease.only(each for each in lease.messages if each.id not in settlement.due)
                later = self._reschedule(lease, settlement)
                return +Counter(later=later, dead=self._mark_dead(dead, settlement.attempt))

    def bring_forward(self, accounts: Iterable[str], due: float, most: int) -> int:
        """Make due at `due` what failed before and would be tried later: at most `most` messages of
        these accounts, the longest waiting first. Returns how many."""
        later = (
            select(events.c.id)
            .where(IS_PENDING, events.c.destination == self.destination)
            .where(events.c.account.in_([*accounts]), events.c.due_at > due)
            .where(events.c.lease.is_(None), events.c.reason.is_not(None))
            .order_by(events.c.due_at)
            .limit(most)
            .with_for_update(skip_locked=True)
        )
        with self._settling.begin() as connection:
            ids = connection.scalars(later).all()
            connection.execute(update(events).where(events.c.id.in_(ids)).values(due_at=due))
        return len(ids)

    def _mark_sent(self, lease: Lease, now: float) -> int:
        values = self._names(lease) | {"now": now}
        with self._settling.connect() as connection:
            if self._sent_all.run(connection, values).rowcount == len(lease.messages):
                sent = [(message.collection, message.tries + 1) for message in lease.messages]
            else:  # some are under another lease: only the slower statement returns which
                connection.rollback()
                sent = [
                    (row.collection, row.tries) for row in self._sent_each.run(connection, values)
                ]
            self._traffic.count(
                connection,
                sent=Counter((now, collection) for collection, _ in sent),
                retried=Counter((now, collection) for collection, tries in sent if tries > 1),
            )
            connection.commit()
        return len(sent)

    def _mark_dead(self, lease: Lease, attempt: Attempt) -> int:
        if not lease.messages:
            return 0
        dead = self._ours.values({**_ended("dead", attempt.at), **_failed(attempt)})
        with self._settling.begin() as connection:
            ended = connection.execute(dead.returning(events.c.collection), self._names(lease))
            failed = Counter((attempt.at, collection) for (collection,) in ended)
            self._traffic.count(connection, failed=failed)
        return failed.total()

    def _reschedule(self, lease: Lease, settlement: Failed) -> int:
        """Make each message that is in `settlement.due` due at its time."""
        statement = (
            update(events)
            .where(events.c.id == bindparam("event"), events.c.lease == lease.token, IS_PENDING)
            .values(due_at=bindparam("due"), lease=None, tries=events.c.tries + 1)
            .values(_failed(settlement.attempt))
        )
        rows = [{"event": id_, "due": at} for id_, at in settlement.due.items()]
        return self._run(statement, rows) if rows else 0

    def _names(self, lease: Lease) -> dict[str, Any]:
        ids = ids_to_value(self.engine, [event.id for event in lease.messages])
        return {"ids": ids, "token": lease.token}

    def _update(self, lease: Lease, values: Mapping[str, Any]) -> int:
        return self._run(self._ours.values(values), self._names(lease))

    def _run(self, statement: Update, values: dict[str, Any] | list[dict[str, Any]]) -> int:
        with self._settling.begin() as connection:
            result: CursorResult[Any] = connection.execute(statement, values)
            return result.rowcount


_DUE = (
    select(*columns_of(Claimed._fields))
    .select_from(whole)
    .where(IS_PENDING, events.c.destination == bindparam("destination"))
    .where(events.c.account == bindparam("whose"))
    .where(events.c.due_at <= bindparam("now"))
    .order_by(events.c.due_at, events.c.id)
    .limit(bindparam("most_events"))
    # SQLAlchemy leaves this clause out for SQLite, which has none
    .with_for_update(skip_locked=True, of=events)
)


def _fitting(due: Sequence[Claimed], most_bytes: int) -> tuple[Claimed, ...]:
    """The first messages whose payloads together have at most `most_bytes`."""
    totals = accumulate(len(event.payload) for event in due)
    return tuple(event for event, total in zip(due, totals, strict=True) if total <= most_bytes)


def _ended(state: str, now: Any) -> dict[str, Any]:
    return {
        "state": state,
        "settled_at": now,
        "lease": None,
        "tries": events.c.tries + 1,
        "error": None,
        "reason": None,
    }


def _released(why: str) -> dict[str, Any]:
    return {"error": storable(why), "reason": reasons.of_release(why)} if why else {}


def _failed(failed: Attempt) -> dict[str, Any]:
    line = attempt_to_line(failed)
    return {
        "error": storable(f"{failed.reason} {failed.words}".strip()),
        "reason": reasons.of_failure(failed.reason, failed.words),
        "history": func.coalesce(events.c.history, "") + line,
    }


_COLUMNS = (
    *("destination", "message_id", "account", "collection", "email", "state"),
    *("received_at", "due_at", "tries", "error", "reason", "settled_at"),
    "person",
)
