"""How much of a table a statement goes through, by each engine's own count."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Engine, event

from app.outbox.messages import Lease
from app.outbox.store import Store

Statement = tuple[str, Any]
Settle = Callable[[Store, Lease], object]
"""What may become of a claim."""


def statement_of(store: Store, act: Settle, lease: Lease) -> Statement:
    """The one that the driver gets."""
    (statement,) = statements_of(store, act, lease)
    return statement


def statements_of(store: Store, act: Settle, lease: Lease) -> list[Statement]:
    """What the driver gets, with (one row of) its values."""
    seen: list[Statement] = []

    def see(_: Any, __: Any, sql: str, values: Any, ___: Any, many: bool) -> None:
        if "events" in sql:
            seen.append((sql, values[0] if many else values))

    event.listen(store.engine, "before_cursor_execute", see)
    act(store, lease)
    event.remove(store.engine, "before_cursor_execute", see)
    return seen


def steps_on_sqlite(engine: Engine, statement: Statement) -> int:
    """How many instructions of SQLite's machine the statement takes."""
    steps: list[None] = []
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: steps.append(None), 1)
        connection.exec_driver_sql(*statement).close()
        driver.set_progress_handler(None, 1)
        connection.rollback()
    return len(steps)


def rows_on_postgresql(engine: Engine, statement: Statement) -> int:
    """How many rows of the table or its indexes the statement really goes through."""
    sql, values = statement
    explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}"
    with engine.connect() as connection:
        # a table of a few thousand rows is small enough to read whole, one of millions is not
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        (found,) = connection.exec_driver_sql(explain, values).scalar_one()
        connection.rollback()
    return sum(_rows_of(node) for node in _nodes(found["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows_of(node: dict[str, Any]) -> int:
    if "Scan" not in node["Node Type"] or node.get("Relation Name") != "events":
        return 0
    taken: int = node["Actual Rows"] * node["Actual Loops"]
    rejected: int = node.get("Rows Removed by Filter", 0) * node["Actual Loops"]
    return taken + rejected
