"""Keep short texts for a while, for all processes: ended sessions, used links, searches.

Times are in seconds since the epoch.
"""

import time
from collections.abc import Callable

from sqlalchemy import Engine, delete, select

from app.database.engine import dialect_of, reader
from app.database.sql import storable
from app.database.tables import notes


class Notes:
    """Short texts by name, each kept until its time is over."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._clock = clock
        self._insert = dialect_of(engine).insert(notes)

    def keep(self, name: str, text: str, seconds: float) -> bool:
        """Keep a text for so many seconds from now, also if it is kept already. Returns whether the
        name is new."""
        now = self._clock()
        row = {"name": name, "text": storable(text), "until": now + seconds}
        put = self._insert.values(row).on_conflict_do_nothing().returning(notes.c.name)
        again = self._insert.values(row).on_conflict_do_update(
            index_elements=[notes.c.name], set_={"until": now + seconds}
        )
        with self._engine.begin() as connection:
            connection.execute(delete(notes).where(notes.c.until <= now))
            is_new = connection.scalar(put) is not None
            if not is_new:
                connection.execute(again)
        return is_new

    def text(self, name: str) -> str | None:
        """The text with this name; None if there is none or its time is over."""
        current = select(notes.c.text).where(notes.c.name == name, notes.c.until > self._clock())
        with reader(self._engine) as connection:
            return connection.scalar(current)
