"""An event's way through the outbox, for both engines: put, claim, renew, settle.

A claim is a lease: it moves an event's `due_at` to the lease's end and writes the claim's token
beside it. A deliverer that dies leaves nothing to clean up: its events fall due again. Every later
statement of a claim names its token, so one that overslept cannot undo another's work.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    CursorResult,
    Engine,
    Update,
    any_,
    bindparam,
    delete,
    func,
    literal,
    select,
    text,
    update,
)

from app.outbox.conditions import IS_PENDING, WAITING_ACCOUNTS
from app.outbox.engine import dialect_of
from app.outbox.history import Attempt, attempt_to_line
from app.outbox.prepared import Prepared
from app.outbox.tables import events, pauses
from app.outbox.traffic import Traffic
from app.outbox.words import storable


@dataclass(frozen=True)
class Arrival:
    """An event to keep. Without a payload it goes to quarantine, and `error` says why."""

    message_id: str
    account: str
    payload: str | None
    raw: bytes
    received_at: float
    error: str | None = None
    collection: str | None = None
    email: str | None = None


class Claimed(NamedTuple):
    """An event that is ours to send until its lease ends."""

    id: int
    message_id: str
    collection: str | None
    payload: str
    received_at: float
    tries: int


@dataclass(frozen=True)
class Lease:
    """Events of one account, claimed together, oldest first."""

    token: str
    account: str
    events: tuple[Claimed, ...]

    @property
    def payload_bytes(self) -> int:
        """The size of all payloads together."""
        return sum(len(event.payload) for event in self.events)

    def halves(self) -> tuple["Lease", "Lease"]:
        """The same claim as two."""
        middle = len(self.events) // 2
        return self.only(self.events[:middle]), self.only(self.events[middle:])

    def only(self, events: Iterable[Claimed]) -> "Lease":
        """The same claim over some of its events."""
        return replace(self, events=tuple(events))


_CLAIMED = [events.c[name] for name in Claimed._fields]

_IS_DUE = """
    AND (SELECT due_at FROM events WHERE state = 'pending' AND events.account = accounts.account
         ORDER BY due_at LIMIT 1) <= :now
"""


class Store:
    """The events table. Times are seconds since the epoch, and are always passed in."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # a single SELECT is its own transaction: no BEGIN, so no write lock on SQLite
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._dialect = dialect_of(engine)
        insert = self._dialect.insert(events).on_conflict_do_nothing(
            index_elements=[events.c.message_id]
        )
        self._insert_all = Prepared(engine, insert, _COLUMNS)
        self._insert_each = insert.returning(events.c.message_id)
        self._traffic = Traffic(engine)

    def put(self, arrivals: Sequence[Arrival]) -> set[str]:
        """Keep them: on disk on return. Gives the message ids that are new."""
        rows = [_to_row(arrival) for arrival in arrivals]
        by_id = {row["message_id"]: row for row in rows}
        with self.engine.connect() as connection:
            if self._insert_all.run(connection, rows) == len(rows):
                new = set(by_id)
            else:  # repeats among them: which, is only told the slow way
                connection.rollback()
                new = set(connection.scalars(self._insert_each, rows))
            came = ((by_id[name]["received_at"], by_id[name]["collection"]) for name in new)
            self._traffic.count(connection, "received", came)
            connection.commit()
        return new

    def due_accounts(self, now: float) -> list[str]:
        """The accounts that have events to send now."""
        with self._reader.connect() as connection:
            return list(connection.scalars(text(WAITING_ACCOUNTS + _IS_DUE), {"now": now}))

    def claim(
        self, account: str, now: float, until: float, most_events: int, most_bytes: int
    ) -> Lease:
        """Take the account's oldest due events, as many as fit, until the lease ends at `until`.

        Claims that run at once take different events: PostgreSQL skips rows that another has
        locked, SQLite's writers take turns.
        """
        lease = uuid4().hex
        limits = {"most_events": most_events, "most_bytes": most_bytes}
        values = {"whose": account, "now": now, "until": until, "token": lease, **limits}
        with self.engine.begin() as connection:
            rows = connection.execute(_CLAIM, values).all()
        return Lease(lease, account, tuple(sorted(map(Claimed._make, rows))))

    def renew(self, lease: Lease, until: float) -> bool:
        """Hold the events longer; False if any of them is no longer this claim's."""
        return self._settle(lease, {"due_at": until}) == len(lease.events)

    def mark_sent(self, lease: Lease, now: float) -> int:
        """The destination took them. Like all that settle: how many were still this claim's."""
        statement = self._ours(lease).values(_ended("sent", now)).returning(events.c.collection)
        with self.engine.begin() as connection:
            sent = connection.scalars(statement).all()
            self._traffic.count(connection, "sent", ((now, collection) for collection in sent))
        return len(sent)

    def bury(self, lease: Lease, now: float, failed: Attempt) -> int:
        """They will not be tried again."""
        return self._run(self._ours(lease).values({**_ended("dead", now), **_failed(failed)}))

    def release(self, lease: Lease, now: float) -> int:
        """Give them back untried."""
        return self._settle(lease, {"due_at": now, "lease": None})

    def postpone(self, lease: Lease, due: Mapping[int, float], failed: Attempt) -> int:
        """They failed, and each is due again at its own time."""
        statement = (
            update(events)
            .where(events.c.id == bindparam("event"), events.c.lease == lease.token, IS_PENDING)
            .values(due_at=bindparam("due"), lease=None, tries=events.c.tries + 1)
            .values(_failed(failed))
        )
        return self._run(statement, [{"event": id_, "due": at} for id_, at in due.items()])

    def note_pause(self, account: str, until: float, reason: str) -> None:
        """The account's key was refused: nothing of it is sent until then."""
        values = {"until": until, "reason": reason}
        statement = self._dialect.insert(pauses).values(account=account, **values)
        with self.engine.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=[pauses.c.account], set_=values)
            )

    def clear_pause(self, account: str) -> None:
        """The account's key was good."""
        with self.engine.begin() as connection:
            connection.execute(delete(pauses).where(pauses.c.account == account))

    def _ours(self, lease: Lease) -> Update:
        """The ids go as one value: a statement with a place for each is another one each time."""
        ids = [event.id for event in lease.events]
        among: ColumnElement[bool]
        if self.engine.dialect.name == "sqlite":
            listed = func.json_each(json.dumps(ids)).table_valued("value")
            among = events.c.id.in_(select(listed.c.value))
        else:
            among = events.c.id == any_(literal(ids, ARRAY(BigInteger)))
        return update(events).where(among, events.c.lease == lease.token, IS_PENDING)

    def _settle(self, lease: Lease, values: Mapping[str, Any]) -> int:
        return self._run(self._ours(lease).values(values))

    def _run(self, statement: Update, rows: list[dict[str, Any]] | None = None) -> int:
        with self.engine.begin() as connection:
            result: CursorResult[Any] = connection.execute(statement, rows)
            return result.rowcount


def _fitting() -> Any:
    """Ids of the oldest due events whose payloads together are not over `most_bytes`."""
    due = (
        select(events.c.id, events.c.due_at, events.c.payload_bytes)
        .where(IS_PENDING, events.c.account == bindparam("whose"))
        .where(events.c.due_at <= bindparam("now"))
        .order_by(events.c.due_at, events.c.id)
        .limit(bindparam("most_events"))
        .with_for_update(skip_locked=True)  # SQLite has no such clause, and is asked for none
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    up_to_here = func.sum(due.c.payload_bytes).over(order_by=(due.c.due_at, due.c.id))
    running = select(due.c.id, up_to_here.label("total")).subquery("running")
    return select(running.c.id).where(running.c.total <= bindparam("most_bytes"))


_CLAIM = (
    update(events)
    .where(events.c.id.in_(_fitting()))
    .values(due_at=bindparam("until"), lease=bindparam("token"))
    .returning(*_CLAIMED)
)
"""Made once: to make it takes as long as to run it."""


def _ended(state: str, now: float) -> dict[str, Any]:
    return {
        "state": state,
        "settled_at": now,
        "lease": None,
        "tries": events.c.tries + 1,
        "error": None,
    }


def _failed(failed: Attempt) -> dict[str, Any]:
    line = attempt_to_line(failed.at, failed.reason, failed.words)
    return {
        "error": storable(f"{failed.reason} {failed.words}".strip()),
        "history": func.coalesce(events.c.history, "") + line,
    }


_COLUMNS = (
    *("message_id", "account", "collection", "email", "state", "payload", "payload_bytes", "raw"),
    *("received_at", "due_at", "tries", "error", "settled_at"),
)


def _to_row(arrival: Arrival) -> dict[str, Any]:
    is_readable = arrival.payload is not None
    return {
        "message_id": arrival.message_id,
        "account": arrival.account,
        "collection": arrival.collection,
        "email": arrival.email and storable(arrival.email.lower()),
        "state": "pending" if is_readable else "quarantined",
        "payload": arrival.payload,
        "payload_bytes": len(arrival.payload or ""),
        "raw": arrival.raw,
        "received_at": arrival.received_at,
        "due_at": arrival.received_at,
        "tries": 0,
        "error": arrival.error,
        "settled_at": None if is_readable else arrival.received_at,
    }
