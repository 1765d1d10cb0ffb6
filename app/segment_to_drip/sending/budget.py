"""Keep to the number of requests an hour that Drip allows, over all processes.

Drip's limits are by the hour, and its answers have no reset time (docs/development/facts.md § 5).
So the bridge counts its own requests in a sliding hour, in the database. If Drip nevertheless says
that none is left, something else uses the same account's limit, and the bridge asks again now and
then.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, select, update

from app.database.engine import dialect_of, reader
from app.database.tables import buckets, requests
from app.destination import RateLimited
from app.segment_to_drip.sending.operations import Bucket

HOUR = 3605.0
"""Seconds, with a few more for requests that take their time on the way."""

MINUTE = 60

CLOSED_BY_HEADER = 60.0
CLOSED_BY_ANSWER = 600.0
"""Seconds until the next request after Drip said that none is left, in a header or with a 429."""

PLAN_AGAIN = 1.0
"""Seconds after which refused messages are due again. Other requests may still be allowed for
them."""


class Left(NamedTuple):
    """What is left of one bucket."""

    available: int
    """Requests that may be sent now."""
    used: int
    """Requests of the last hour."""
    limit: int
    frees_at: float
    """If none is left: when there will be some, in seconds since the epoch."""


class Slot(NamedTuple):
    """Requests that are free from the same time on."""

    at: float
    """In seconds since the epoch."""
    requests: int


class DatabaseBudget:
    """The requests of the last hour, for each Drip account and bucket."""

    def __init__(
        self,
        engine: Engine,
        destination: str,
        limits: Mapping[Bucket, int],
        clock: Callable[[], float],
    ) -> None:
        """`limits` are the requests an hour."""
        self._engine = engine
        self._destination = destination
        self._limits = limits
        self._clock = clock
        self._insert = dialect_of(engine).insert

    def left(self, account: str) -> dict[Bucket, Left]:
        """What is left of each bucket now."""
        with reader(self._engine) as connection:
            return {bucket: self._left(connection, account, bucket) for bucket in self._limits}

    def slots(self, account: str) -> dict[Bucket, list[Slot]]:
        """All requests of an hour by bucket: those that are left now, and minute by minute those
        that will be free again."""
        with reader(self._engine) as connection:
            return {bucket: self._slots(connection, account, bucket) for bucket in self._limits}

    def take(self, account: str, bucket: Bucket) -> None:
        """Count a request that is about to be sent. Raises `RateLimited` if none is left."""
        now = self._clock()
        with self._engine.begin() as connection:
            self._lock(connection, account, bucket)
            left = self._left(connection, account, bucket)
            if left.available < 1:
                raise RateLimited("the limit by the hour is reached", PLAN_AGAIN)
            self._add(connection, account, bucket, now, 1)
            old = requests.c.second < now - 2 * HOUR
            connection.execute(delete(requests).where(*self._of(requests, account, bucket), old))

    def give_back(self, account: str, bucket: Bucket) -> None:
        """Take back the last count: that request cost nothing."""
        with self._engine.begin() as connection:
            self._lock(connection, account, bucket)
            last = (
                select(func.max(requests.c.second))
                .where(*self._of(requests, account, bucket), requests.c.count > 0)
                .scalar_subquery()
            )
            connection.execute(
                update(requests)
                .where(*self._of(requests, account, bucket), requests.c.second == last)
                .values(count=requests.c.count - 1)
            )

    def report(self, account: str, bucket: Bucket, remaining: int | None) -> None:
        """Heed what Drip says is left. If that is nothing, although by our own count there is, wait
        a little."""
        if remaining is not None and remaining <= 0:
            self._close(account, bucket, CLOSED_BY_HEADER)

    def exhausted(self, account: str, bucket: Bucket) -> float:
        """Send no such request for a while, after Drip refused one. Returns the seconds after which
        the refused messages may be planned again."""
        self._close(account, bucket, CLOSED_BY_ANSWER)
        return PLAN_AGAIN

    def _left(self, connection: Connection, account: str, bucket: Bucket) -> Left:
        now, limit = self._clock(), self._limits[bucket]
        ours = (*self._of(requests, account, bucket), requests.c.count > 0)
        # a time in the future is from before the clock was set back
        recent = requests.c.second.between(now - HOUR, now)
        used, oldest = connection.execute(
            select(func.coalesce(func.sum(requests.c.count), 0), func.min(requests.c.second)).where(
                *ours, recent
            )
        ).one()
        closed_until = connection.scalar(
            select(buckets.c.closed_until).where(*self._of(buckets, account, bucket))
        )
        available = max(0, limit - int(used))
        frees_at = now if available or oldest is None else oldest + HOUR
        if closed_until is not None and now < closed_until <= now + CLOSED_BY_ANSWER:
            available, frees_at = 0, max(frees_at, closed_until)
        return Left(available, int(used), limit, frees_at)

    def _slots(self, connection: Connection, account: str, bucket: Bucket) -> list[Slot]:
        now = self._clock()
        minute = requests.c.second - requests.c.second % MINUTE
        used = (
            select(func.max(requests.c.second), func.sum(requests.c.count))
            .where(*self._of(requests, account, bucket), requests.c.second.between(now - HOUR, now))
            .group_by(minute)
        )
        left = self._left(connection, account, bucket).available
        freed = (Slot(at + HOUR, int(count)) for at, count in connection.execute(used))
        return [Slot(now, left), *freed]

    def _close(self, account: str, bucket: Bucket, seconds: float) -> None:
        with self._engine.begin() as connection:
            self._lock(connection, account, bucket)
            connection.execute(
                update(buckets)
                .where(*self._of(buckets, account, bucket))
                .values(closed_until=self._clock() + seconds)
            )

    def _lock(self, connection: Connection, account: str, bucket: Bucket) -> None:
        """Let no other process count at the same time."""
        row = {"destination": self._destination, "account": account, "bucket": bucket}
        new = self._insert(buckets).values(**row, closed_until=0.0)
        connection.execute(new.on_conflict_do_nothing())
        ours = select(buckets.c.bucket).where(*self._of(buckets, account, bucket))
        connection.execute(ours.with_for_update())

    def _add(
        self, connection: Connection, account: str, bucket: Bucket, now: float, count: int
    ) -> None:
        row = {"destination": self._destination, "account": account, "bucket": bucket}
        new = self._insert(requests).values(**row, second=int(now), count=count)
        connection.execute(
            new.on_conflict_do_update(
                index_elements=[*requests.primary_key],
                set_={"count": requests.c.count + new.excluded.count},
            )
        )

    def _of(self, table: Table, account: str, bucket: Bucket) -> tuple[ColumnElement[bool], ...]:
        return (
            table.c.destination == self._destination,
            table.c.account == account,
            table.c.bucket == bucket,
        )
