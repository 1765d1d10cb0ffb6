"""Many ids as one value of a statement: with a place for each it would be another one each time,
and to make a statement takes longer than to run it."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    Engine,
    Text,
    any_,
    bindparam,
    func,
    select,
)


def among(engine: Engine, column: Column[int]) -> ColumnElement[bool]:
    """Whether a row's id is one of those that are given as `ids`."""
    if engine.dialect.name == "sqlite":
        listed = func.json_each(bindparam("ids", type_=Text)).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam("ids", type_=ARRAY(BigInteger)))


def ids_to_value(engine: Engine, ids: Sequence[int]) -> Any:
    """What to give as `ids`."""
    return json.dumps(ids) if engine.dialect.name == "sqlite" else ids
