"""Where among the ids a search has to look."""

from collections.abc import Callable

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from app.database.engine import reader
from app.database.tables import events
from app.outbox.search_query import Wanted

Conditions = Callable[[Wanted], list[ColumnElement[bool]]]
"""Returns the SQL conditions of a search."""

RARE = 5_000
"""Messages that an index may lead to, to be sorted by id. What more of them have in common is
looked for in the order of the ids."""

SKEW = 600.0
"""Seconds by which a message may have been received before one that was kept earlier: senders are
answered by several processes, whose clocks differ."""

NEIGHBOURS = 20
"""Messages that one step of the bisection looks at: one that was processed again has a new id, and
keeps its time."""


def ids_to_search(engine: Engine, wanted: Wanted) -> tuple[int, int]:
    """The lowest and the highest id of messages that may match; 1 and 0 if nothing is kept."""
    with reader(engine) as connection:
        lowest = connection.scalar(select(func.min(events.c.id))) or 1
        highest = connection.scalar(select(func.max(events.c.id))) or 0
        if wanted.since is not None:
            lowest = _first_since(connection, wanted.since - SKEW, lowest, highest)
    return lowest, highest


def _first_since(connection: Connection, since: float, low: int, high: int) -> int:
    """The lowest id of a message that may have been received since then, by bisection: ids are in
    the order in which messages were kept."""
    end = high + 1
    while low < end:
        middle = (low + end) // 2
        near = (
            select(events.c.received_at)
            .where(events.c.id.between(middle, high))
            .order_by(events.c.id)
            .limit(NEIGHBOURS)
            .subquery()
        )
        newest = connection.scalar(select(func.max(near.c.received_at)))
        if newest is None or newest >= since:
            end = middle
        else:
            low = middle + 1
    return low


def is_indexed(wanted: Wanted) -> bool:
    """Whether an index leads to the messages, few or many. For "sent" it does not: nearly all that
    is kept was sent."""
    if wanted.words is not None:
        return False
    by_prefix = wanted.email_prefix is not None
    return _is_exact(wanted) or by_prefix or wanted.state not in (None, "sent")


def has_index(engine: Engine, wanted: Wanted, to_conditions: Conditions) -> bool:
    """Whether an index leads to few messages."""
    if not is_indexed(wanted):
        return False
    if _is_exact(wanted):
        return True
    indexed = Wanted(wanted.destination, wanted.state, email_prefix=wanted.email_prefix)
    few = select(events.c.id).where(*to_conditions(indexed)).limit(RARE)
    with reader(engine) as connection:
        return (connection.scalar(select(func.count()).select_from(few.subquery())) or 0) < RARE


def _is_exact(wanted: Wanted) -> bool:
    by_id = wanted.message_ids is not None or wanted.id_prefix is not None
    return by_id or wanted.email is not None
