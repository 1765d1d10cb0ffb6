"""Compile a statement once to the driver's SQL, for the few that run for every message.

Executed by SQLAlchemy they take four times as long as in the driver, and most of that is not the
database's time (docs/performance.md). Transactions, errors and reconnecting stay SQLAlchemy's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    Text,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.sql import ClauseElement

Values = Mapping[str, Any]
"""The statement's parameters by name."""

MOST_ROWS = 32
"""Rows of one insert. Each number of rows is a statement of its own, which the driver caches."""


class Prepared:
    """One compiled statement. `columns` are the names of the values of an insert."""

    def __init__(
        self, engine: Engine, statement: ClauseElement, columns: Sequence[str] = ()
    ) -> None:
        compiled: Any = statement.compile(dialect=_by_position(engine), column_keys=columns)
        self._sql = str(compiled)
        self._fixed = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._order: Sequence[str] = compiled.positiontup
        """The names of the parameters, in the order of their placeholders."""

    def run(self, connection: Connection, values: Values) -> CursorResult[Any]:
        """Execute the statement once. Raises `SQLAlchemyError`."""
        return connection.exec_driver_sql(self._sql, tuple(self._in_order([values])))

    def rows(self, connection: Connection, values: Values) -> list[tuple[Any, ...]]:
        """Execute the statement and return its rows as the driver has them: SQLAlchemy's own rows
        take half as long again. Raises `SQLAlchemyError`, and the driver's error while rows are
        read."""
        cursor: Any = self.run(connection, values).cursor
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def _in_order(self, rows: Iterable[Values]) -> Iterable[Any]:
        for row in rows:
            values = {**self._fixed, **row}
            for name in self._order:
                yield values[name]


class PreparedInsert(Prepared):
    """`INSERT … VALUES (…)` for many rows at once. With every statement a thread releases Python's
    interpreter lock and has to wait to get it back, so one statement for many rows is faster."""

    def __init__(self, engine: Engine, statement: ClauseElement, columns: Sequence[str]) -> None:
        super().__init__(engine, statement, columns)
        self._insert, _, rest = self._sql.partition(" VALUES ")
        self._row, self._on, self._conflict = rest.partition(" ON CONFLICT ")

    def insert(self, connection: Connection, rows: Sequence[Values]) -> int:
        """Insert the rows. Returns how many were new. Raises `SQLAlchemyError`."""
        new = 0
        for first in range(0, len(rows), MOST_ROWS):
            some = rows[first : first + MOST_ROWS]
            places = ", ".join([self._row] * len(some))
            sql = f"{self._insert} VALUES {places}{self._on}{self._conflict}"
            new += connection.exec_driver_sql(sql, tuple(self._in_order(some))).rowcount
        return new


def _by_position(engine: Engine) -> Any:
    """The engine's dialect, with placeholders by position: names would have to differ from row to
    row."""
    dialect: Any = type(engine.dialect)
    return dialect(paramstyle="qmark" if engine.dialect.paramstyle == "qmark" else "format")


def among(engine: Engine, column: Column[int]) -> ColumnElement[bool]:
    """The condition that a column is one of the ids in the parameter `ids` (`ids_to_value`)."""
    if engine.dialect.name == "sqlite":
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam("ids", type_=ARRAY(BigInteger)))


def ids_to_value(engine: Engine, ids: Sequence[int]) -> Any:
    """The value for the parameter `ids` of `among`."""
    return json.dumps(ids) if engine.dialect.name == "sqlite" else ids
