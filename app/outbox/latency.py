"""Measure how long messages took from their receipt until they were delivered."""

from dataclasses import dataclass

from sqlalchemy import Engine, literal_column, select

from app.database.engine import reader
from app.database.sql import IS_SETTLED
from app.database.tables import events

MOST = 2_000
"""Messages that are looked at: the latest delivered ones of all destinations. To find as many of
one that has few, a search would go through all those of the others."""


@dataclass(frozen=True)
class Latency:
    """Seconds."""

    median: float
    p95: float
    count: int
    """How many messages were looked at."""


def read_latency(engine: Engine, destination: str, since: float) -> Latency | None:
    """The latency of the latest messages that were delivered since then; None if none of them went
    to this destination. Raises `SQLAlchemyError`."""
    latest = (
        select(events.c.destination, (events.c.settled_at - events.c.received_at).label("took"))
        .where(events.c.state == literal_column("'sent'"), IS_SETTLED)
        .where(events.c.settled_at > since)
        .order_by(events.c.settled_at.desc())
        .limit(MOST)
        .subquery()
    )
    with reader(engine) as connection:
        own = connection.scalars(select(latest.c.took).where(latest.c.destination == destination))
        took = sorted(max(0.0, each) for each in own)
    if not took:
        return None
    return Latency(took[len(took) // 2], took[(len(took) - 1) * 95 // 100], len(took))
