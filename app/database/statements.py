"""Keep the few statements that run for every message ready for the driver.

Executed by SQLAlchemy they take four times as long as in the driver, and most of that is not the
database's time (docs/development/performance.md). Transactions, errors and reconnecting stay
SQLAlchemy's.
"""

import json
from collections.abc import Mapping, Sequence
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

Row = tuple[Any, ...]

MOST_ROWS = 32
"""Rows of one insert. Each number of rows is a statement of its own, which the driver caches."""


class InsertMany:
    """`INSERT INTO … VALUES (…), (…)`, written out.

    SQLAlchemy's own `insertmanyvalues` takes 22 µs a message more on SQLite and 40 on PostgreSQL,
    its `executemany` 15 and 100 (docs/development/performance.md).
    """

    def __init__(self, engine: Engine, table: str, columns: Sequence[str], then: str = "") -> None:
        """`then` is what follows the values, such as "ON CONFLICT … DO NOTHING RETURNING id"."""
        self._columns = columns
        self._into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES "  # noqa: S608 - ours
        place = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._row = f"({', '.join([place] * len(columns))})"
        self._then = then

    def run(self, connection: Connection, rows: Sequence[Values]) -> list[Row]:
        """What the statement returns. Raises `SQLAlchemyError`."""
        returned: list[Row] = []
        for first in range(0, len(rows), MOST_ROWS):
            some = rows[first : first + MOST_ROWS]
            places = ", ".join([self._row] * len(some))
            values = tuple(row[name] for row in some for name in self._columns)
            statement = f"{self._into}{places} {self._then}"
            result = connection.exec_driver_sql(statement, values)
            if result.returns_rows:
                returned += _fetch(result)
        return returned


class Prepared:
    """One statement, compiled once."""

    def __init__(self, engine: Engine, statement: ClauseElement) -> None:
        compiled: Any = statement.compile(dialect=_by_position(engine))
        self._text = str(compiled)
        self._fixed = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._order: Sequence[str] = compiled.positiontup
        """The names in the order of the question marks."""

    def run(self, connection: Connection, values: Values) -> CursorResult[Any]:
        """Execute it once. Raises `SQLAlchemyError`."""
        values = {**self._fixed, **values}
        return connection.exec_driver_sql(self._text, tuple(values[name] for name in self._order))

    def rows(self, connection: Connection, values: Values) -> list[Row]:
        """Execute it and return its rows.

        Raises `SQLAlchemyError`, and the driver's own errors while rows are read.
        """
        return _fetch(self.run(connection, values))


def _fetch(result: CursorResult[Any]) -> list[Row]:
    """The rows as the driver has them: SQLAlchemy's own rows take half as long again."""
    cursor: Any = result.cursor
    rows: list[Row] = cursor.fetchall()
    return rows


def _by_position(engine: Engine) -> Any:
    """The engine's dialect, with placeholders by position."""
    dialect: Any = type(engine.dialect)
    return dialect(paramstyle="qmark" if engine.dialect.paramstyle == "qmark" else "format")


def among(engine: Engine, column: Column[int]) -> ColumnElement[bool]:
    """The condition that a column is one of the ids in the parameter `ids` (`ids_to_value`).

    The ids are one parameter: with a placeholder for each, every number of ids would be another
    statement, and compiling one takes longer than running it.
    """
    if engine.dialect.name == "sqlite":
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam("ids", type_=ARRAY(BigInteger)))


def ids_to_value(engine: Engine, ids: Sequence[int]) -> Any:
    """What to give as `ids`."""
    return json.dumps(ids) if engine.dialect.name == "sqlite" else ids
