"""Find when the latest message of one destination came, and when the latest one was sent.

A destination may share the table with millions of messages for another. So only the newest messages
are looked at, and before those the counts by minute, which give the minute.
"""

from sqlalchemy import Connection, Select, Subquery, literal_column, select

from app.database.sql import IS_SETTLED
from app.database.tables import events, traffic

LOOKED_AT = 5_000
"""Messages."""


def last_received(
    connection: Connection, destination: str, but_from: str | None = None
) -> float | None:
    """When the newest message was received, in seconds since the epoch; None if none is known.
    `but_from` is an address whose messages do not count. Raises `SQLAlchemyError`."""
    newest = select(events.c.received_at, events.c.destination, events.c.email).order_by(
        events.c.id.desc()
    )
    found = newest.limit(LOOKED_AT).subquery()
    exact = _first(found, destination, found.c.received_at)
    if but_from is not None:
        exact = exact.where(found.c.email.is_distinct_from(but_from))
    at = connection.scalar(exact)
    if at is None and (but_from is None or _has_more(connection)):
        return _minute(connection, destination, "received")
    return at


def last_sent(connection: Connection, destination: str) -> float | None:
    """When the destination last took a message, in seconds since the epoch; None if that is not
    known. Raises `SQLAlchemyError`."""
    newest = (
        select(events.c.settled_at, events.c.destination)
        .where(events.c.state == literal_column("'sent'"), IS_SETTLED)
        .order_by(events.c.settled_at.desc())
    )
    found = newest.limit(LOOKED_AT).subquery()
    at = connection.scalar(_first(found, destination, found.c.settled_at))
    return _minute(connection, destination, "sent") if at is None else at


def _first(found: Subquery, destination: str, column: object) -> Select[float]:
    return select(column).where(found.c.destination == destination).limit(1)  # type: ignore[call-overload, no-any-return]


def _has_more(connection: Connection) -> bool:
    """Whether there are more messages than were looked at."""
    further = select(events.c.id).order_by(events.c.id.desc()).offset(LOOKED_AT).limit(1)
    return connection.scalar(further) is not None


def _minute(connection: Connection, destination: str, way: str) -> float | None:
    """The latest minute in which anything was counted."""
    return connection.scalar(
        select(traffic.c.minute)
        .where(traffic.c.destination == destination, traffic.c[way] > 0)
        .order_by(traffic.c.minute.desc())
        .limit(1)
    )


def is_empty(connection: Connection) -> bool:
    """Whether no message is kept. Raises `SQLAlchemyError`."""
    return connection.scalar(select(events.c.id).limit(1)) is None
