"""End the calls that have waited for an address for too long, and keep few of them."""

from sqlalchemy import Engine, delete, exists, func, select, update

from app.database.sql import IS_SETTLED, is_open
from app.database.tables import events
from app.outbox.batches import in_batches

STEP = 500
"""Calls that end with one commit."""

MOST_UNIDENTIFIED = 200_000
"""Calls that wait for an address at most. Beyond it the oldest expire early, so that anonymous
visitors do not fill the disk."""

MOST_EXPIRED = 100_000
"""Expired calls that are kept at most, to look at. The oldest go first."""

NO_ADDRESS = "no address came in time for this person"


class Expiry:
    """Expire the calls of one destination. Times are in seconds since the epoch."""

    def __init__(self, engine: Engine, destination: str) -> None:
        self._engine = engine
        self._destination = destination
        self._is_ours = events.c.destination == destination

    def run(self, now: float) -> int:
        """End all calls that have waited for too long. Returns how many."""
        expired = sum(in_batches(lambda: self.step(now)))
        for _ in in_batches(self._trim):
            pass
        return expired

    def _trim(self) -> int:
        """Delete some of the oldest expired calls, if there are too many. Returns how many."""
        is_expired = (self._is_ours, events.c.state == "expired", IS_SETTLED)
        with self._engine.begin() as connection:
            count = connection.scalar(select(func.count()).where(*is_expired)) or 0
            oldest = (
                select(events.c.id)
                .where(*is_expired)
                .order_by(events.c.settled_at)
                .limit(min(STEP, max(0, count - MOST_EXPIRED)))
            )
            ids = connection.scalars(oldest).all()
            connection.execute(delete(events).where(events.c.id.in_(ids)))
        return len(ids)

    def step(self, now: float) -> int:
        """End some of the calls that have waited for too long, and the oldest if too many wait.

        Returns how many. No call of an account expires while the account has new calls: one of them
        may bring the address.
        """
        is_waiting = (self._is_ours, events.c.state == "unidentified")
        unseen = events.alias("unseen")
        has_unseen = exists().where(
            unseen.c.person == "",
            is_open("unseen"),
            unseen.c.destination == self._destination,
            unseen.c.account == events.c.account,
        )
        with self._engine.begin() as connection:
            count = connection.scalar(select(func.count()).where(*is_waiting)) or 0
            ended = select(events.c.id).where(*is_waiting, ~has_unseen)
            old = ended.where(events.c.due_at <= now).limit(STEP)
            too_many = ended.order_by(events.c.id).limit(
                min(STEP, max(0, count - MOST_UNIDENTIFIED))
            )
            ids = {*connection.scalars(old), *connection.scalars(too_many)}
            connection.execute(
                update(events)
                .where(events.c.id.in_(ids), events.c.state == "unidentified")
                .values(state="expired", settled_at=now, error=NO_ADDRESS, reason=NO_ADDRESS)
            )
        return len(ids)
