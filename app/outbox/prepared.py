"""A statement made into its driver's words once, for the few that run for every webhook.

Executed SQLAlchemy's way they take four times as long as in the driver, and most of that time is
not the database's (docs/performance.md). Transactions, errors and reconnecting stay SQLAlchemy's.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, UpdateBase


class Prepared:
    """One statement that changes rows; `columns` are the names of what it is given."""

    def __init__(self, engine: Engine, statement: UpdateBase, columns: Sequence[str]) -> None:
        compiled = statement.compile(dialect=engine.dialect, column_keys=columns)
        self._words = str(compiled)
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)
        """The names in the order of the question marks, where that is how the driver takes them."""

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> int:
        """Once for each row; how many rows it changed in all. Raises `SQLAlchemyError`."""
        values = [tuple(row[name] for name in self._order) for row in rows] if self._order else rows
        return connection.exec_driver_sql(self._words, values).rowcount
