"""Identify kept calls: give each the address of its person, or let it wait for one.

What is remembered of ids and addresses is in the database; `identity.py` has the rules. A call
without an address is unidentified until an address comes, or until it expires.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, bindparam, select, update

from app.database.engine import dialect_of
from app.database.sql import IS_PENDING, is_open
from app.database.tables import bodies, events, identities, people, whole
from app.segment_to_drip.people.identity import Found, Identity, Memory, Move
from app.segment_to_drip.people.keys import keys_of
from app.segment_to_drip.people.moving import follow, join_memory

STEP = 500
"""Calls that are looked at with one commit."""


class _Identified(NamedTuple):
    """A call whose person was looked for."""

    row: Any
    call: Mapping[str, Any]
    whose: Found
    order: str
    """The key of the person in whose order it is sent."""

    def moved(self, move: Move) -> "_Identified":
        """The same after a change of address that came later."""
        return self._replace(order=move.order_of(self.order))


class _Learnt(NamedTuple):
    """The address of an id, and the key of the person in whose order its calls are sent."""

    email: str
    order: str

    def moved(self, move: Move) -> "_Learnt":
        """The same after a change of address that came later."""
        return self._replace(order=move.order_of(self.order))


class Identities:
    """Identify the calls of one destination. Only the process whose turn it is for an account may
    do so for it. Times are in seconds since the epoch."""

    def __init__(self, engine: Engine, destination: str, hold: float) -> None:
        """`hold` is how many seconds a call waits for an address."""
        self._engine = engine
        self._destination = destination
        self._hold = hold
        self._is_ours = events.c.destination == destination
        self._insert = dialect_of(engine).insert

    def identify(self, account: str, now: float) -> int:
        """Give the next new calls the address of their person. Returns how many calls were new; 0
        if there were none."""
        with self._engine.begin() as connection:
            new = (
                select(events.c.id, events.c.received_at, bodies.c.payload)
                .select_from(whole)
                .where(is_open(), IS_PENDING, self._is_ours)
                .where(events.c.person == "", events.c.account == account)
                .order_by(events.c.id)
                .limit(STEP)
            )
            rows = connection.execute(new).all()
            if rows:
                self._identify(connection, account, now, rows)
        return len(rows)

    def _identify(
        self, connection: Connection, account: str, now: float, rows: Sequence[Any]
    ) -> None:
        calls = [(row, json.loads(row.payload)) for row in rows]
        memory = Memory(self._known(connection, account, {k for _, c in calls for k in keys_of(c)}))
        found: dict[int, _Identified] = {}
        waiting: dict[str, list[int]] = {}
        learnt: dict[str, _Learnt] = {}
        done: list[int] = []
        for row, call in calls:
            whose = memory.take(call)
            if whose is None:
                done.append(row.id)
            else:
                found[row.id] = _Identified(row, call, whose, _key_of(whose))
                if not whose.email:
                    waiting.setdefault(whose.waits_for, []).append(row.id)
            # one call after the other, as if each had come alone: an id that is one person's now
            # may be several people's a few calls later
            for move in memory.take_moves():
                follow(connection, self._destination, account, move)
                found = {id_: each.moved(move) for id_, each in found.items()}
                learnt = {key: each.moved(move) for key, each in learnt.items()}
            for key, email in memory.take_learnt().items():
                learnt.setdefault(key, _Learnt(email, f"e:{email}"))
                for id_ in waiting.pop(key, ()):
                    here = Found(email, key)
                    found[id_] = found[id_]._replace(whose=here, order=_key_of(here))
        self._release(connection, account, now, learnt)  # before others wait for the same ids
        self._write(connection, account, now, list(found.values()))
        self._settle(connection, done, now)
        self._forget(connection, account, memory.deleted)
        self._save(connection, account, memory.changed)

    def _known(self, connection: Connection, account: str, keys: set[str]) -> dict[str, Identity]:
        statement = select(identities.c.key, identities.c.email, identities.c.user_id).where(
            identities.c.destination == self._destination,
            identities.c.account == account,
            identities.c.key.in_(keys),
        )
        return {key: Identity(*values) for key, *values in connection.execute(statement)}

    def _write(
        self, connection: Connection, account: str, now: float, found: Sequence[_Identified]
    ) -> None:
        wanted = {each.whose.person for each in found if each.whose.person}
        busy = self._busy(connection, account, now, wanted)
        values = [
            {
                "event": row.id,
                "whose": order,
                "address": whose.email,
                "becomes": "pending" if whose.person else "unidentified",
                "due": busy.get(whose.person, now)
                if whose.person
                else max(row.received_at, now) + self._hold,
            }
            for row, _, whose, order in found
        ]
        if values:
            connection.execute(_WRITE, values)
        completed = [
            {"of": row.id, "text": json.dumps({**call, "new_email": whose.new_email})}
            for row, call, whose, _ in found
            if whose.new_email
        ]
        if completed:
            connection.execute(_COMPLETE, completed)

    def _busy(
        self, connection: Connection, account: str, now: float, wanted: set[str]
    ) -> dict[str | None, float]:
        """The people among these who are in a batch that Drip may still work on → until when."""
        statement = select(people.c.email, people.c.busy_until).where(
            people.c.destination == self._destination,
            people.c.account == account,
            people.c.email.in_(wanted),
            people.c.busy_until > now,
        )
        return {row.email: row.busy_until for row in connection.execute(statement)}

    def _settle(self, connection: Connection, done: Sequence[int], now: float) -> None:
        """These calls have done all that they do."""
        settled = update(events).where(events.c.id.in_(done))
        connection.execute(settled.values(state="sent", settled_at=now, person=None))

    def _save(self, connection: Connection, account: str, changed: Mapping[str, Identity]) -> None:
        new = self._insert(identities)
        saved = new.on_conflict_do_update(
            index_elements=[*identities.primary_key],
            set_={"email": new.excluded.email, "user_id": new.excluded.user_id},
        )
        rows = [
            {"destination": self._destination, "account": account, "key": key, **who._asdict()}
            for key, who in sorted(changed.items())
        ]
        if rows:
            connection.execute(saved, rows)

    def _forget(self, connection: Connection, account: str, emails: Collection[str]) -> None:
        """Forget whose ids they were, also those that no call of this step has. That a user id
        appeared under an anonymous id stays: the next one there is another person."""
        forgotten = update(identities).where(
            identities.c.destination == self._destination,
            identities.c.account == account,
            identities.c.email.in_(emails),
        )
        if emails:
            connection.execute(forgotten.values(email=None))

    def _release(
        self, connection: Connection, account: str, now: float, learnt: Mapping[str, _Learnt]
    ) -> None:
        """Make due the calls that waited for these addresses. `learnt` has them by the id's key.
        What was to be sent by Drip's own id goes to the address, too."""
        for key, (email, _) in learnt.items():
            if key.startswith("d:"):
                join_memory(connection, self._destination, account, key, email)
        busy = self._busy(connection, account, now, {each.email for each in learnt.values()})
        waiting = (
            update(events)
            .where(is_open(), self._is_ours, events.c.account == account)
            .where(events.c.person == bindparam("key"))
            .values(
                state="pending",
                person=bindparam("whose"),
                email=bindparam("address"),
                due_at=bindparam("due"),
            )
        )
        rows = [
            {"key": key, "whose": order, "address": email, "due": busy.get(email, now)}
            for key, (email, order) in learnt.items()
        ]
        if rows:
            connection.execute(waiting, rows)


def _key_of(whose: Found) -> str:
    """What `events.person` has of a call."""
    return f"e:{whose.email}" if whose.email else whose.waits_for


_WRITE = (
    update(events)
    .where(events.c.id == bindparam("event"), IS_PENDING)
    .values(
        person=bindparam("whose"),
        email=bindparam("address"),
        state=bindparam("becomes"),
        due_at=bindparam("due"),
    )
)

_COMPLETE = (
    update(bodies).where(bodies.c.event == bindparam("of")).values(payload=bindparam("text"))
)
"""Add to a call what was found out about its person."""
