"""A statement made into its driver's words once, for the few that run for every event.

Executed SQLAlchemy's way they take four times as long as in the driver, and most of that time is
not the database's (docs/performance.md). Transactions, errors and reconnecting stay SQLAlchemy's.
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

Given = Mapping[str, Any]

MOST_ROWS = 32
"""Rows of one insert: each number of rows is a statement of its own, which the driver keeps."""


class Prepared:
    """One statement; `columns` are the names of what an insert is given for each row."""

    def __init__(
        self, engine: Engine, statement: ClauseElement, columns: Sequence[str] = ()
    ) -> None:
        compiled: Any = statement.compile(dialect=_by_position(engine), column_keys=columns)
        self._words = str(compiled)
        self._fixed = {
            name: bind.value for name, bind in compiled.binds.items() if not bind.required
        }
        self._order: Sequence[str] = compiled.positiontup
        """The names in the order of the question marks."""

    def run(self, connection: Connection, given: Given) -> CursorResult[Any]:
        """Once. Raises `SQLAlchemyError`."""
        return connection.exec_driver_sql(self._words, tuple(self._values([given])))

    def rows(self, connection: Connection, given: Given) -> list[tuple[Any, ...]]:
        """What it finds, as the driver has it: to make rows of SQLAlchemy's takes half as long
        again as to find them. Raises `SQLAlchemyError`, and while it reads the driver's own."""
        cursor: Any = self.run(connection, given).cursor
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def _values(self, rows: Iterable[Given]) -> Iterable[Any]:
        for row in rows:
            values = {**self._fixed, **row}
            for name in self._order:
                yield values[name]


class PreparedInsert(Prepared):
    """`INSERT … VALUES (…)` for many rows at once: with every statement the thread that runs it
    gives the interpreter away, and has to wait until it gets it back."""

    def __init__(self, engine: Engine, statement: ClauseElement, columns: Sequence[str]) -> None:
        super().__init__(engine, statement, columns)
        self._insert, _, rest = self._words.partition(" VALUES ")
        self._row, self._on, self._conflict = rest.partition(" ON CONFLICT ")

    def insert(self, connection: Connection, rows: Sequence[Given]) -> int:
        """How many rows were new. Raises `SQLAlchemyError`."""
        new = 0
        for first in range(0, len(rows), MOST_ROWS):
            some = rows[first : first + MOST_ROWS]
            places = ", ".join([self._row] * len(some))
            words = f"{self._insert} VALUES {places}{self._on}{self._conflict}"
            new += connection.exec_driver_sql(words, tuple(self._values(some))).rowcount
        return new


def _by_position(engine: Engine) -> Any:
    """The engine's dialect, but one whose values have places in place of names: names would have
    to be other ones in each row."""
    dialect: Any = type(engine.dialect)
    return dialect(paramstyle="qmark" if engine.dialect.paramstyle == "qmark" else "format")


def among(engine: Engine, column: Column[int]) -> ColumnElement[bool]:
    """Whether a row's id is one of those that are given as `ids`."""
    if engine.dialect.name == "sqlite":
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam("ids", type_=ARRAY(BigInteger)))


def ids_to_value(engine: Engine, ids: Sequence[int]) -> Any:
    """What to give as `ids`."""
    return json.dumps(ids) if engine.dialect.name == "sqlite" else ids
