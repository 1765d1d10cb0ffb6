"""Count what is in the outbox, with SQL that reads only its partial indexes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Select, bindparam, func, literal_column, select, text

from app.database.engine import reader
from app.database.sql import IS_PENDING, IS_SETTLED
from app.database.tables import bodies, events, pauses, whole
from app.outbox.quarantine import OVERHEAD
from app.outbox.traffic import newest_of

KeyFor = Callable[[str], str | None]
"""Returns an account's key, or None."""

Parameters = Mapping[str, str]
"""Of a statement: the destination's name."""

LATELY = 3600.0
"""Seconds that count as lately."""

PAUSE_GRACE = 60.0
"""Seconds for which a pause still counts after its end. The key is tried again then, and a refusal
pauses it anew: the two should not look like two troubles."""


@dataclass(frozen=True)
class Pause:
    """An account whose messages wait because its key was refused, and what to check."""

    account: str
    reason: str


@dataclass(frozen=True)
class Quota:
    """How many requests of one kind the destination still takes of an account within the hour."""

    account: str
    bucket: str
    """The kind, such as "requests" or "batches"."""
    left: int
    limit: int


@dataclass(frozen=True)
class Stats:
    """The figures of one destination at one moment. Times are in seconds since the epoch, or None
    if there is none."""

    states: Mapping[str, int]
    """Messages by state, see `State` in app/outbox/search_query.py. Each counts once: held
    ones, whose account has no key, are not among the pending here."""
    oldest_pending: float | None
    """When the oldest message was received that waits, held or not."""
    oldest_is_held: bool
    last_webhook: float | None
    """When the newest message was received that is still kept."""
    last_sent: float | None
    died_lately: int
    quarantined_lately: int
    quarantine_bytes: int
    """The size of the quarantine, as `Quarantine` counts it."""
    pauses: tuple[Pause, ...]
    database_bytes: int
    """Tables and indexes; on PostgreSQL the whole database."""
    quotas: tuple[Quota, ...] = ()
    """If the destination limits requests by the hour."""


def take_stats(engine: Engine, destination: str, now: float, key_for: KeyFor) -> Stats:
    """Count the messages for one destination. Raises `SQLAlchemyError`.

    Nothing is locked on either engine. The statements run one after another, so messages that
    change state meanwhile may be counted twice or not at all.
    """
    with reader(engine) as connection:
        parameters = {"destination": destination}
        oldest = connection.execute(OLDEST, parameters).first()
        lately = _to_counts(connection, _settled_since(now - LATELY), parameters)
        return Stats(
            states=_count_states(connection, parameters, key_for),
            oldest_pending=oldest.received_at if oldest else None,
            oldest_is_held=oldest is not None and key_for(oldest.account) is None,
            last_webhook=connection.scalar(newest_of(destination)),
            last_sent=connection.scalar(LAST_SENT, parameters),
            died_lately=lately.get("dead", 0),
            quarantined_lately=lately.get("quarantined", 0),
            quarantine_bytes=connection.scalar(QUARANTINE_BYTES, parameters) or 0,
            pauses=_pauses(connection, destination, now),
            database_bytes=connection.scalar(SIZE[engine.dialect.name]) or 0,
        )


_COUNT = func.count().label("events")
_OURS = events.c.destination == bindparam("destination")

WAITING = select(events.c.account, _COUNT).where(IS_PENDING, _OURS).group_by(events.c.account)
SETTLED = select(events.c.state, _COUNT).where(IS_SETTLED, _OURS).group_by(events.c.state)
OLDEST = (
    select(events.c.received_at, events.c.account)
    .where(IS_PENDING, _OURS)
    .order_by(events.c.received_at)
    .limit(1)
)
LAST_SENT = select(func.max(events.c.settled_at)).where(
    IS_SETTLED, _OURS, events.c.state == literal_column("'sent'")
)
QUARANTINE_BYTES = (
    select(func.sum(func.length(bodies.c.raw) + OVERHEAD))
    .select_from(whole)
    .where(IS_SETTLED, _OURS, events.c.state == literal_column("'quarantined'"))
)
SIZE = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


def _settled_since(then: float) -> Select[str, int]:
    failed = events.c.state.in_([literal_column("'dead'"), literal_column("'quarantined'")])
    return SETTLED.where(failed, events.c.settled_at > then)


def _count_states(
    connection: Connection, parameters: Parameters, key_for: KeyFor
) -> dict[str, int]:
    counts = dict.fromkeys(("pending", "held", "sent", "dead", "quarantined", "erased"), 0)
    for account, waiting in connection.execute(WAITING, parameters):
        counts["held" if key_for(account) is None else "pending"] += waiting
    return counts | _to_counts(connection, SETTLED, parameters)


def _to_counts(
    connection: Connection, statement: Select[str, int], parameters: Parameters
) -> dict[str, int]:
    return dict(connection.execute(statement, parameters).all())


def _pauses(connection: Connection, destination: str, now: float) -> tuple[Pause, ...]:
    current = (
        select(pauses.c.account, pauses.c.reason)
        .where(pauses.c.destination == destination, pauses.c.until > now - PAUSE_GRACE)
        .order_by(pauses.c.account)
    )
    return tuple(Pause(*row) for row in connection.execute(current))
