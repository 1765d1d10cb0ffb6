"""When the newest event that is still kept came: evidence that somebody still sends."""

from sqlalchemy import Engine, func, select

from app.outbox.tables import events

# by id, which grows with the time: no index is over all times
NEWEST = select(events.c.received_at).where(
    events.c.id == select(func.max(events.c.id)).scalar_subquery()
)


def last_received(engine: Engine) -> float | None:
    """Seconds since the epoch; None where nothing is kept. Raises `SQLAlchemyError`."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return connection.scalar(NEWEST)
