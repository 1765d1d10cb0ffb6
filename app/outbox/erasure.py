"""Every trace of one address goes; what stays of an event is that it was here.

So a re-send is still known as a duplicate, and does not bring the person back.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, select, text, update

from app.outbox.mention import Mention
from app.outbox.pace import Wait, in_steps
from app.outbox.tables import bodies, events, whole

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

ERASED = {
    "state": "erased",
    "payload_bytes": 0,
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
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._mention = Mention(address)
        self._clock = clock
        self._wait = wait
        self._looked_at = 0
        """The highest id so far."""
        self._found: list[int] = []

    @property
    def left(self) -> int:
        """How many events that mention the address are not erased yet."""
        return len(self._found)

    def look(self) -> Counter[str]:
        """Go through every event that was not looked at yet; how many to erase, by state."""
        states: Counter[str] = Counter()
        while page := self._next_page():
            for id_, state, *kept in page:
                if any(self._mention.is_in(text) for text in kept):
                    self._found.append(id_)
                    states[state] += 1
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
                return erased
            self._wait(LOOK_AGAIN)
        return erased + self._erase_found(also_leased=True)

    def overwrite(self) -> bool:
        """Empty SQLite's log, which has the pages as they were; False where others hold on to it.

        The pages of the file itself have zeros where something was deleted (`engine.py`).
        PostgreSQL overwrites in its own time, after VACUUM.
        """
        if self._engine.dialect.name != "sqlite":
            return True
        with self._reader.connect() as connection:
            connection.detach()  # closed at the end: others wait longer than it does
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
            select(c.id, c.state, c.email, bodies.c.raw, bodies.c.payload, c.error, c.history)
            .select_from(whole)
            .where(c.id > self._looked_at, c.state != "erased")
            .order_by(c.id)
            .limit(PAGE)
        )
        with self._reader.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def _erase_found(self, also_leased: bool) -> Counter[str]:
        erased: Counter[str] = Counter()
        waiting, self._found = self._found, []

        def step() -> bool:
            ids = waiting[:STEP]
            del waiting[:STEP]
            erased.update(self._erase(ids, also_leased))
            self._found += self._not_erased(ids)
            return bool(waiting)

        for _ in in_steps(step):
            pass
        return erased

    def _erase(self, ids: Sequence[int], also_leased: bool) -> list[str]:
        """The states of those that were free. What another has locked is not waited for: two that
        lock the same events in different orders would wait for one another."""
        now = self._clock()
        c = events.c
        here = select(c.id, c.state, c.lease, c.due_at).where(c.id.in_(ids), c.state != "erased")
        with self._engine.begin() as connection:
            rows = connection.execute(here.with_for_update(skip_locked=True)).all()
            free = [row for row in rows if also_leased or row.lease is None or row.due_at <= now]
            ids = [row.id for row in free]
            erase = update(events).where(c.id.in_(ids))
            connection.execute(erase.values(ERASED | {"settled_at": now}))
            connection.execute(update(bodies).where(bodies.c.event.in_(ids)).values(ERASED_BODY))
        return [row.state for row in free]

    def _not_erased(self, ids: Sequence[int]) -> list[int]:
        left = select(events.c.id).where(events.c.id.in_(ids), events.c.state != "erased")
        with self._reader.connect() as connection:
            return list(connection.scalars(left))
