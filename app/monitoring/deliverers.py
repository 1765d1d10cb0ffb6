"""Know which processes send: each reports every few seconds that its delivery goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from sqlalchemy import Connection, Engine, delete, select

from app.database.engine import dialect_of, synced_later
from app.database.tables import deliverers
from app.version import VERSION

BEAT_EVERY = 5.0
"""Seconds between two reports."""

ALIVE = 30.0
"""Seconds after its last report for which a deliverer counts as running."""

FORGOTTEN = 3600.0
"""Seconds after which one that ended is no longer in the table."""


@dataclass(frozen=True)
class Deliverer:
    """A process that sends, or did lately. Times are in seconds since the epoch."""

    version: str
    started_at: float
    seen_at: float

    def is_running(self, now: float) -> bool:
        """Whether it has reported lately. One that reported in the future ran before the clock was
        set back."""
        return abs(now - self.seen_at) < ALIVE


class Heartbeat:
    """The reports of this process."""

    def __init__(self, engine: Engine, is_delivering: Callable[[], bool]) -> None:
        """`is_delivering` returns whether delivery goes on. It may hang while its process runs."""
        self._engine = synced_later(engine)
        self._is_delivering = is_delivering
        self._id = uuid4().hex
        self._started_at = time.time()
        insert = dialect_of(engine).insert(deliverers)
        self._beat = insert.on_conflict_do_update(
            index_elements=[deliverers.c.id], set_={"seen_at": insert.excluded.seen_at}
        )

    def beat(self) -> None:
        """Report that this process delivers, if it does. Raises `SQLAlchemyError`."""
        if not self._is_delivering():
            return
        now = time.time()
        row = {
            "id": self._id,
            "version": VERSION,
            "started_at": self._started_at,
            "seen_at": now,
        }
        with self._engine.begin() as connection:
            connection.execute(self._beat, row)
            connection.execute(delete(deliverers).where(deliverers.c.seen_at < now - FORGOTTEN))

    def end(self) -> None:
        """Report that this process has ended as it should. Raises `SQLAlchemyError`."""
        with self._engine.begin() as connection:
            connection.execute(delete(deliverers).where(deliverers.c.id == self._id))


def read_deliverers(connection: Connection) -> tuple[Deliverer, ...]:
    """Those that are in the table, the latest started last."""
    columns = (deliverers.c.version, deliverers.c.started_at, deliverers.c.seen_at)
    rows = connection.execute(select(*columns).order_by(deliverers.c.started_at))
    return tuple(Deliverer(*row) for row in rows)
