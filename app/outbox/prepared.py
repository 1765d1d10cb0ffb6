"""A statement made into its driver's words once, for the few that run for every event.

Executed SQLAlchemy's way they take four times as long as in the driver, and most of that time is
not the database's (docs/performance.md). Transactions, errors and reconnecting stay SQLAlchemy's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine
from sqlalchemy.sql import ClauseElement

Given = Mapping[str, Any]


class Prepared:
    """One statement; `columns` are the names of what an insert is given for each row."""

    def __init__(
        self, engine: Engine, statement: ClauseElement, columns: Sequence[str] = ()
    ) -> None:
        compiled: Any = statement.compile(dialect=engine.dialect, column_keys=columns)
        self._words = str(compiled)
        self._fixed = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._order: Sequence[str] | None = compiled.positiontup
        """The names in the order of the question marks, where that is how the driver takes them."""

    def run(self, connection: Connection, given: Given) -> CursorResult[Any]:
        """Once. Raises `SQLAlchemyError`."""
        return connection.exec_driver_sql(self._words, self._values(given))

    def rows(self, connection: Connection, given: Given) -> list[tuple[Any, ...]]:
        """What it finds, as the driver has it: to make rows of SQLAlchemy's takes half as long
        again as to find them. Raises `SQLAlchemyError`, and while it reads the driver's own."""
        cursor: Any = self.run(connection, given).cursor
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def run_each(self, connection: Connection, rows: Sequence[Given]) -> int:
        """Once for each row; how many rows it changed in all. Raises `SQLAlchemyError`."""
        return connection.exec_driver_sql(self._words, list(map(self._values, rows))).rowcount

    def _values(self, given: Given) -> Any:
        values = {**self._fixed, **given} if self._fixed else given
        return tuple(values[name] for name in self._order) if self._order else values
