"""Erase every trace of one email address.

Of the person's own messages only the ids stay, so that a re-send is still recognised as a duplicate
and does not bring the person back. Messages of other people stay and are sent. If they mention the
address, only the parts that mention it are removed.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, select, update

from app.database.engine import reader
from app.database.sqlite_file import empty_log, rewrite, size_in_megabytes
from app.database.tables import bodies, events, whole
from app.outbox.address_matcher import AddressMatcher
from app.outbox.batches import Wait, in_batches, within
from app.outbox.erasures import Erasures
from app.outbox.mentions import clear_mentions
from app.outbox.remembered import forget

PAGE = 50
"""Messages in memory at once: a body may be 1 MiB."""

STEP = 300
"""Messages erased with one commit."""

LOOK_AGAIN = 0.5
ROUNDS = 120
"""Rounds of `LOOK_AGAIN` seconds in which to wait for the deliverer to settle messages that it is
sending: together as long as two leases."""

LARGEST = 300
"""Megabytes of an SQLite file that is rewritten without asking. That is some 100,000 messages, and
writers wait for 2 to 4 seconds."""

TOO_LARGE = (
    "The file has {:,.0f} MB, and pieces of what was erased may be left between its rows until it "
    "is written anew. That needs as much room again and some 15 seconds a GB, in which webhooks "
    "are not kept and have to be sent again. At a quiet time: "
    "flask erase ADDRESS --vacuum"
)
NOT_ANEW = (
    "The file could not be written anew, and pieces of what was erased may be left between its "
    "rows. {}. Erase again once that is mended."
)
LOG_IN_USE = (
    "The database's log (-wal) still has the old pages, because another process is reading it: "
    "erase again in a minute."
)

BAGS = (
    *(("properties",), ("event", "properties"), ("order",)),
    *(("subscriber", "custom_fields"), ("left_out",)),
)
"""Where the calls of both directions have values of which any can be left out."""

ERASED = {
    "state": "erased",
    "email": None,
    "lease": None,
    "error": None,
    "reason": None,
    "dismissed_at": None,
    "history": None,
    "person": None,
}
ERASED_BODY = {"payload": None, "raw": b""}


class Erasure:
    """Search for one address, however long that takes, then erase it."""

    def __init__(
        self,
        engine: Engine,
        address: str,
        clock: Callable[[], float] = time.time,
        wait: Wait = time.sleep,
        warehouse: Erasures | None = None,
    ) -> None:
        """`warehouse` is where a warehouse is asked to erase the person too."""
        self._engine = engine
        self._warehouse = warehouse
        self._address = address
        self._matcher = AddressMatcher(address)
        self._clock = clock
        self._wait = wait
        self._highest_seen = 0
        """The highest id that was searched so far."""
        self._to_erase: list[int] = []
        self._sizes: dict[int, int] = {}
        self.others: set[int] = set()
        """Ids of other people's messages that mention the address. They stay, without the parts
        that mention it."""

    @property
    def left(self) -> int:
        """How many messages that mention the address are not erased yet."""
        return len(self._to_erase)

    def look(self) -> Counter[str]:
        """Search every message that was not searched yet. Returns how many are to be erased, by
        state; other people's are in `others`."""
        states: Counter[str] = Counter()
        while page := self._next_page():
            for id_, state, email, payload, raw, *texts in page:
                if any(map(self._matcher.is_in, (email, payload, raw))):
                    self._to_erase.append(id_)
                    self._sizes[id_] = len(raw) + len(payload or "")
                    if self._without_address(email, payload) is None:
                        states[state] += 1
                    else:
                        self.others.add(id_)
                elif any(map(self._matcher.is_in, texts)):
                    self.others.add(id_)
            self._highest_seen = page[-1][0]
        return states

    def erase(self) -> Counter[str]:
        """Erase what the search found and what has come since. Returns how many messages were
        erased, by the state they were in.

        Waits for messages that are being sent, so that their deliverer settles them first. Those
        that it does not settle within two leases are erased all the same, and its settlement then
        changes nothing.
        """
        erased: Counter[str] = Counter()
        self._ask_warehouse()
        for _ in range(ROUNDS):
            self.look()
            erased += self._erase_matches(also_leased=False)
            if not self._to_erase:
                break
            self._wait(LOOK_AGAIN)
        else:
            erased += self._erase_matches(also_leased=True)
        # last, and in all messages: what was being sent may have failed meanwhile
        clear_mentions(self._engine, self._matcher)
        self.forget()
        return erased

    def _ask_warehouse(self) -> None:
        if self._warehouse:
            self._warehouse.ask(self._address, self._clock())

    def forget(self) -> bool:
        """Delete what is remembered of the person beside the messages. Returns whether there was
        anything.

        A warehouse is asked again: a load that is running may have read the person's events after
        it was asked the first time, and before they were erased.
        """
        self._ask_warehouse()
        return forget(self._engine, self._address) > 0

    def overwrite(self, also_large: bool = False) -> str:
        """Rewrite SQLite's file and empty its log, so that no copy of an erased row is left in
        them (`sqlite_file.py`). Returns what remains and what to do about it, or "".

        Does nothing on PostgreSQL: its `VACUUM FULL` would lock everyone out.
        """
        if self._engine.dialect.name != "sqlite":
            return ""
        with reader(self._engine) as connection:
            connection.detach()  # not returned to the pool, because its busy time-out is changed
            megabytes = size_in_megabytes(connection)
            if megabytes > LARGEST and not also_large:
                return TOO_LARGE.format(megabytes)
            if error := rewrite(connection):
                return NOT_ANEW.format(error)
            return "" if empty_log(connection, self._wait) else LOG_IN_USE

    def _next_page(self) -> Sequence[tuple[Any, ...]]:
        c = events.c
        statement = (
            select(c.id, c.state, c.email, bodies.c.payload, bodies.c.raw, c.error, c.history)
            .select_from(whole)
            .where(c.id > self._highest_seen, c.state != "erased")
            .order_by(c.id)
            .limit(PAGE)
        )
        with reader(self._engine) as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def _without_address(self, email: str | None, payload: str | None) -> str | None:
        """Another person's payload without the values that mention the address.

        None if the message is the person's own, or if it cannot be said whose it is.
        """
        if payload is None or email is None or self._matcher.is_in(email):
            return None
        call = json.loads(payload)
        if not isinstance(call, dict):
            return None
        for path in BAGS:
            self._clear_bag(call, path)
        rest = json.dumps(call)
        return None if self._matcher.is_in(rest) else rest

    def _clear_bag(self, call: dict[str, Any], path: Sequence[str]) -> None:
        """Remove the values that mention the address from the bag at this path, if there is one."""
        *above, name = path
        for step in above:
            below = call.get(step)
            call = below if isinstance(below, dict) else {}
        bag = call.get(name)
        if isinstance(bag, dict):
            call[name] = {
                key: value
                for key, value in bag.items()
                if not self._matcher.is_in(json.dumps({key: value}))
            }

    def _erase_matches(self, also_leased: bool) -> Counter[str]:
        erased: Counter[str] = Counter()
        waiting, self._to_erase = self._to_erase, []

        def step() -> bool:
            ids = within((id_, self._sizes[id_]) for id_ in waiting[:STEP])
            del waiting[: len(ids)]
            done, states = self._erase(ids, also_leased)
            erased.update(states)
            self._to_erase += self._not_erased(set(ids) - done)
            return bool(waiting)

        for _ in in_batches(step):
            pass
        return erased

    def _erase(self, ids: Sequence[int], also_leased: bool) -> tuple[set[int], list[str]]:
        """Erase those that nobody is sending. Returns their ids, and the states of the person's own
        among them.

        Rows that another transaction has locked are skipped: two transactions that lock the same
        rows in different orders would wait for one another.
        """
        now = self._clock()
        c = events.c
        unlocked = (
            select(c.id, c.state, c.lease, c.due_at, c.email, bodies.c.payload)
            .select_from(whole)
            .where(c.id.in_(ids), c.state != "erased")
            .with_for_update(skip_locked=True, of=events)
        )
        states, own = [], []
        with self._engine.begin() as connection:
            rows = connection.execute(unlocked).all()
            free = [row for row in rows if also_leased or row.lease is None or row.due_at <= now]
            for row in free:
                rest = self._without_address(row.email, row.payload)
                if rest is None:
                    own.append(row.id)
                    states.append(row.state)
                else:
                    _replace_body(connection, row.id, rest)
            erase = update(events).where(c.id.in_(own))
            connection.execute(erase.values(ERASED | {"settled_at": now}))
            connection.execute(update(bodies).where(bodies.c.event.in_(own)).values(ERASED_BODY))
        return {row.id for row in free}, states

    def _not_erased(self, ids: set[int]) -> list[int]:
        left = select(events.c.id).where(events.c.id.in_(ids), events.c.state != "erased")
        with reader(self._engine) as connection:
            return list(connection.scalars(left))


def _replace_body(connection: Connection, id_: int, payload: str) -> None:
    """Keep another person's message with this payload and without its raw body, which cannot be
    taken apart."""
    body = {"payload": payload, "raw": b""}
    connection.execute(update(bodies).where(bodies.c.event == id_).values(body))
