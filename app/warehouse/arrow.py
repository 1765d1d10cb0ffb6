"""Put rows into Arrow tables, whose columns keep the type that their first value had.

A value that does not fit into its column goes into one beside it, named after its own type:
`price` of type `bigint` and `price_text`. So nothing is lost, and nothing stops a load.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import pyarrow

from app.warehouse.rows import Row, Values

Types = dict[str, str]
"""Column → its type, as dlt calls it."""

TYPES = {str: "text", bool: "bool", int: "bigint", float: "double", datetime: "timestamp"}

ARROW = {
    "text": pyarrow.string(),
    "bigint": pyarrow.int64(),
    "double": pyarrow.float64(),
    "bool": pyarrow.bool_(),
    "timestamp": pyarrow.timestamp("us", tz="UTC"),
}

MOST_COLUMNS = 1_000
"""Columns that a table gets. PostgreSQL takes 1,600, and names made up by a sender may have no
end. What comes after goes into `OVERFLOW`, as text."""

OVERFLOW = "other_columns"


def to_tables(
    rows: Iterable[Row], known: Callable[[str], Types], loaded_at: datetime
) -> dict[str, pyarrow.Table]:
    """Put rows into a table each, by its name. `known` returns the columns that a table has in the
    warehouse. Of rows with one id the last one stays."""
    by_table: dict[str, dict[str, Values]] = {}
    for table, values in rows:
        by_table.setdefault(table, {})[values["id"]] = {"uuid_ts": loaded_at, **values}
    return {table: _to_table([*own.values()], known(table)) for table, own in by_table.items()}


def _to_table(rows: list[Values], types: Types) -> pyarrow.Table:
    types = dict(types)
    fitted = [_fit(row, types) for row in rows]
    used = dict.fromkeys(name for row in fitted for name in row)
    columns = [
        pyarrow.array([row.get(name) for row in fitted], ARROW[types[name]]) for name in used
    ]
    return pyarrow.Table.from_arrays(columns, names=[*used])


def _fit(row: Values, types: Types) -> Values:
    """The row, each value in a column of its type. New columns are added to `types`."""
    fitted: Values = {}
    overflow = []
    for name, value in row.items():
        if types.get(name) == TYPES[type(value)]:  # nearly always
            fitted[name] = value
            continue
        place, converted = _place(name, value, types)
        if place not in types and len(types) >= MOST_COLUMNS:
            overflow.append(f"{name}: {value}")
        else:
            types.setdefault(place, TYPES[type(converted)])
            fitted.setdefault(place, converted)
    if overflow:
        types[OVERFLOW] = "text"
        fitted[OVERFLOW] = "\n".join(overflow)
    return fitted


def _place(name: str, value: Any, types: Types) -> tuple[str, Any]:
    """The column that takes the value, and the value as it takes it."""
    own = TYPES[type(value)]
    type_ = types.get(name, own)
    if type_ == own:
        return name, value
    if type_ == "text":
        return name, json.dumps(value, default=str)
    if type_ == "double" and own == "bigint":
        return name, float(value)
    return _place(f"{name}_{own}", value, types)
