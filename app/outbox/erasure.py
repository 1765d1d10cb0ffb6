"""Every trace of one address goes; what stays of the person's events is that they were here.

So a re-send is still known as a duplicate, and does not bring the person back. Other people's
events stay, and are sent: of those that mention the address only what mentions it goes.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, delete, or_, select, text, update
from sqlalchemy.exc import OperationalError

from app.database.engine import BUSY_SECONDS, LOOK_EVERY, describe, reader
from app.database.sql import storable
from app.database.tables import alerts, bodies, events, notes, pauses, whole
from app.outbox.address_matcher import AddressMatcher
from app.outbox.batches import Wait, in_batches, within
from app.outbox.messages import Attempt, attempt_to_line, read_history

PAGE = 50
"""Events looked through at once: a body may be 1 MiB."""

STEP = 300
"""Events erased with one commit."""

LOOK_AGAIN = 0.5
ROUNDS = 120
"""Of `LOOK_AGAIN` seconds, for events that are being sent to be settled: two leases long."""

CHECKPOINTS = 10
CHECKPOINT_MILLISECONDS = 100
"""SQLite's writers wait for as long as it waits for a reader, so it is asked often and briefly."""

LARGEST = 300
"""Megabytes of an SQLite file that is written anew without asking: some 100,000 events, for 2 to 4
seconds of which writers wait."""

TOO_LARGE = (
    "The file has {:,.0f} MB, and pieces of what was erased may be left between its rows until it "
    "is written anew. That needs as much room again and some 15 seconds a GB, in which webhooks "
    "are answered 429 and sent again by Drip. At a quiet time: "
    "flask --app wsgi erase ADDRESS --vacuum"
)
NOT_ANEW = (
    "The file could not be written anew, and pieces of what was erased may be left between its "
    "rows. {}. Erase again once that is mended."
)
LOG_IN_USE = (
    "The database's log (-wal) still has the old pages, because another process is reading it: "
    "erase again in a minute."
)

CLEARED = "(cleared: it named a person who was erased)"
"""What stands in place of words that are kept beside other people's events."""

ERASED = {
    "state": "erased",
    "email": None,
    "lease": None,
    "error": None,
    "history": None,
}
ERASED_BODY = {"payload": None, "raw": b""}


class Erasure:
    """One address: look for it, as long as that takes, then erase."""

    def __init__(
        self,
        engine: Engine,
        address: str,
        clock: Callable[[], float] = time.time,
        wait: Wait = time.sleep,
    ) -> None:
        self._engine = engine
        self._mention = AddressMatcher(address)
        self._clock = clock
        self._wait = wait
        self._looked_at = 0
        """The highest id so far."""
        self._found: list[int] = []
        self._sizes: dict[int, int] = {}
        self.others: set[int] = set()
        """Events of other people that mention the address: they stay, without what mentions it."""

    @property
    def left(self) -> int:
        """How many events that mention the address are not erased yet."""
        return len(self._found)

    def look(self) -> Counter[str]:
        """Go through every event that was not looked at yet; how many to erase, by state.

        Those of other people are in `others`.
        """
        states: Counter[str] = Counter()
        while page := self._next_page():
            for id_, state, email, payload, raw, *words in page:
                if any(map(self._mention.is_in, (email, payload, raw))):
                    self._found.append(id_)
                    self._sizes[id_] = len(raw) + len(payload or "")
                    if self._without_mention(email, payload) is None:
                        states[state] += 1
                    else:
                        self.others.add(id_)
                elif any(map(self._mention.is_in, words)):
                    self.others.add(id_)
            self._looked_at = page[-1][0]
        return states

    def erase(self) -> Counter[str]:
        """Erase what was found, and what has come since; how many, by the state they were in.

        Events that are being sent are waited for, so that their deliverer settles them first.
        Where it does not, they are erased all the same, and it will find nothing to settle.
        """
        erased: Counter[str] = Counter()
        for _ in range(ROUNDS):
            self.look()
            erased += self._erase_found(also_leased=False)
            if not self._found:
                break
            self._wait(LOOK_AGAIN)
        else:
            erased += self._erase_found(also_leased=True)
        self._clear_words()
        return erased

    def overwrite(self, also_large: bool = False) -> str:
        """Write SQLite's file anew and empty its log; what remains, and what to do, or "".

        Where something was deleted the file has zeros (`engine.py`), but not where SQLite had moved
        it from before. PostgreSQL is left alone: `VACUUM FULL` locks everyone out.
        """
        if self._engine.dialect.name != "sqlite":
            return ""
        with reader(self._engine) as connection:
            connection.detach()  # closed at the end: others wait longer than it does
            megabytes = connection.scalar(_SIZE) or 0
            if megabytes > LARGEST and not also_large:
                return TOO_LARGE.format(megabytes)
            if fault := self._write_anew(connection):
                return NOT_ANEW.format(fault)
            return "" if self._empty_log(connection) else LOG_IN_USE

    def _write_anew(self, connection: Connection) -> str:
        """The driver's words where it cannot be done. Writers that come meanwhile wait."""
        connection.execute(text("PRAGMA busy_timeout = 0"))
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute(text("VACUUM"))
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    return describe(error)
                time.sleep(LOOK_EVERY)  # as who writes does: SQLite's own waiting gets no turn
            else:
                return ""

    def _empty_log(self, connection: Connection) -> bool:
        """The log has the pages as they were; False where others hold on to it."""
        connection.execute(text(f"PRAGMA busy_timeout = {CHECKPOINT_MILLISECONDS}"))
        for _ in range(CHECKPOINTS):
            busy, _, _ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
            if not busy:
                return True
            self._wait(LOOK_AGAIN)
        return False

    def _next_page(self) -> Sequence[tuple[Any, ...]]:
        c = events.c
        statement = (
            select(c.id, c.state, c.email, bodies.c.payload, bodies.c.raw, c.error, c.history)
            .select_from(whole)
            .where(c.id > self._looked_at, c.state != "erased")
            .order_by(c.id)
            .limit(PAGE)
        )
        with reader(self._engine) as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def _without_mention(self, email: str | None, payload: str | None) -> str | None:
        """Another person's call without the properties that mention the address.

        None where the event is the person's own, or nobody can tell whose it is.
        """
        if payload is None or email is None or self._mention.is_in(email):
            return None
        call = json.loads(payload)
        properties = call.get("properties", {}).items()
        call["properties"] = {
            name: value
            for name, value in properties
            if not self._mention.is_in(json.dumps({name: value}))
        }
        rest = json.dumps(call)
        return None if self._mention.is_in(rest) else rest

    def _erase_found(self, also_leased: bool) -> Counter[str]:
        erased: Counter[str] = Counter()
        waiting, self._found = self._found, []

        def step() -> bool:
            ids = within((id_, self._sizes[id_]) for id_ in waiting[:STEP])
            del waiting[: len(ids)]
            done, states = self._erase(ids, also_leased)
            erased.update(states)
            self._found += self._not_erased(set(ids) - done)
            return bool(waiting)

        for _ in in_batches(step):
            pass
        return erased

    def _erase(self, ids: Sequence[int], also_leased: bool) -> tuple[set[int], list[str]]:
        """Which were free, and the states of the person's own among them. What another has locked
        is not waited for: two that lock the same events in different orders would wait for one
        another."""
        now = self._clock()
        c = events.c
        here = (
            select(c.id, c.state, c.lease, c.due_at, c.email, bodies.c.payload)
            .select_from(whole)
            .where(c.id.in_(ids), c.state != "erased")
            .with_for_update(skip_locked=True, of=events)
        )
        states, own = [], []
        with self._engine.begin() as connection:
            rows = connection.execute(here).all()
            free = [row for row in rows if also_leased or row.lease is None or row.due_at <= now]
            for row in free:
                rest = self._without_mention(row.email, row.payload)
                if rest is None:
                    own.append(row.id)
                    states.append(row.state)
                else:
                    _keep_rest(connection, row.id, rest)
            erase = update(events).where(c.id.in_(own))
            connection.execute(erase.values(ERASED | {"settled_at": now}))
            connection.execute(update(bodies).where(bodies.c.event.in_(own)).values(ERASED_BODY))
        return {row.id for row in free}, states

    def _not_erased(self, ids: set[int]) -> list[int]:
        left = select(events.c.id).where(events.c.id.in_(ids), events.c.state != "erased")
        with reader(self._engine) as connection:
            return list(connection.scalars(left))

    def _clear_words(self) -> None:
        """What was said when events failed goes where it names the person; the events stay.

        Last, and of all events: what was being sent may have failed meanwhile.
        """
        for ids in self._in_words():
            with self._engine.begin() as connection:
                for id_ in ids:
                    self._clear(connection, id_)
        with self._engine.begin() as connection:
            self._clear_notes(connection)

    def _in_words(self) -> Iterator[list[int]]:
        """The ids of events whose words name the person, some at a time."""
        last: int | None = 0
        while last is not None:
            statement = _WORDS.where(events.c.id > last).order_by(events.c.id).limit(STEP)
            with reader(self._engine) as connection:
                rows = connection.execute(statement).all()
            last = rows[-1].id if rows else None
            if ids := [row.id for row in rows if self._names(row.error, row.history)]:
                yield ids

    def _names(self, *said: str | None) -> bool:
        return any(map(self._mention.is_in, said))

    def _clear(self, connection: Connection, id_: int) -> None:
        here = events.c.id == id_
        row = connection.execute(_WORDS.where(here).with_for_update()).one_or_none()
        if row is None:
            return
        attempts = list(map(self._cleared, read_history(row.history)))
        values: dict[str, str] = {}
        if attempts:
            lines = map(attempt_to_line, attempts)
            values["history"] = "".join(lines)
        if self._names(row.error):
            reason = attempts[-1].reason if attempts else ""
            values["error"] = storable(f"{reason} {CLEARED}".strip())
        connection.execute(update(events).where(here).values(values))

    def _cleared(self, attempt: Attempt) -> Attempt:
        if not self._names(attempt.reason, attempt.words):
            return attempt
        reason = "" if self._names(attempt.reason) else attempt.reason
        return Attempt(attempt.at, reason, CLEARED)

    def _clear_notes(self, connection: Connection) -> None:
        """What is noted of accounts and of trouble: few rows, and whose words they are in a later
        version nobody knows."""
        for row in connection.execute(select(pauses)).all():
            here = (pauses.c.destination == row.destination) & (pauses.c.account == row.account)
            if self._names(row.account):
                connection.execute(delete(pauses).where(here))
            elif self._names(row.reason):
                connection.execute(update(pauses).where(here).values(reason=CLEARED))
        for row in connection.execute(select(notes)).all():
            if self._names(row.text):  # somebody searched for the person
                connection.execute(delete(notes).where(notes.c.name == row.name))
        for row in connection.execute(select(alerts)).all():
            if self._names(row.text):
                here = alerts.c.name == row.name
                connection.execute(update(alerts).where(here).values(text=CLEARED))


_SIZE = text("SELECT page_count * page_size / 1e6 FROM pragma_page_count, pragma_page_size")

_WORDS = select(events.c.id, events.c.error, events.c.history).where(
    or_(events.c.error.is_not(None), events.c.history.is_not(None)), events.c.state != "erased"
)


def _keep_rest(connection: Connection, id_: int, rest: str) -> None:
    """Another person's event goes on without what Drip sent: all of that is in one piece."""
    body = {"payload": rest, "raw": b""}
    connection.execute(update(bodies).where(bodies.c.event == id_).values(body))
