"""Count what is in the outbox, with SQL that reads only its partial indexes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from sqlalchemy import Connection, Engine, Select, bindparam, func, literal_column, select, text

from app.database.engine import reader
from app.database.sql import IS_PENDING, IS_SETTLED
from app.database.tables import IS_ISSUE, bodies, events, whole
from app.monitoring.deliverers import Deliverer, read_deliverers
from app.outbox.answers import LastAnswer, fingerprint, read_answers
from app.outbox.latest import last_received, last_sent
from app.outbox.loads import Load
from app.outbox.quarantine import OVERHEAD

KeyFor = Callable[[str], str | None]
"""Returns an account's key, or None."""

Parameters = Mapping[str, str]
"""Of a statement: the destination's name."""

LATELY = 3600.0
"""Seconds that count as lately."""

MOST_ISSUES = 200
"""Reasons that are listed, those with the latest failures first."""

Cause = Literal["queued", "retrying", "paused", "limited", "held"]
"""Why a message waits: for its turn; because the destination fails for now; because it refuses the
key or is not reached; because of its limit; because no key is set."""

CAUSES: Mapping[str, Cause] = {
    "taken": "queued",
    "rejected": "queued",
    "failing": "retrying",
    "refused": "paused",
    "unreachable": "paused",
    "limited": "limited",
}
"""The kind of the key's last answer → why its messages wait."""


@dataclass(frozen=True)
class Waiting:
    """The messages of one account that wait."""

    account: str
    cause: Cause
    count: int
    oldest: float
    """When the oldest of them was received."""
    due_at: float
    """When the first of them is due."""
    answer: LastAnswer | None
    """The last answer to the account's key."""


@dataclass(frozen=True)
class Issue:
    """Messages that failed for one reason and were neither retried nor dismissed since."""

    destination: str
    state: str
    """"dead", "quarantined" or "expired"."""
    reason: str
    """See app/outbox/reasons.py."""
    count: int
    first_at: float
    last_at: float
    newest: int
    """The id of the newest of them."""

    @property
    def key(self) -> str:
        """What stands for the issue in a URL: the reason may be long, and URLs are logged."""
        return sha256(f"{self.destination} {self.state} {self.reason}".encode()).hexdigest()[:12]


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
    """Messages by state, see `State` in app/outbox/search_query.py. Each counts once: held ones,
    whose account has no key, are not among the pending here, nor dismissed ones among the dead,
    expired and quarantined."""
    waiting: tuple[Waiting, ...]
    """By account."""
    issues: tuple[Issue, ...]
    last_webhook: float | None
    """When the newest message was received that is still kept."""
    last_sent: float | None
    died_lately: int
    quarantined_lately: int
    quarantine_bytes: int
    """The size of the quarantine, as `Quarantine` counts it."""
    answers: Mapping[str, LastAnswer]
    """The last answer to each key, by its fingerprint."""
    deliverers: tuple[Deliverer, ...]
    """Of all destinations."""
    database_bytes: int
    """Tables and indexes; on PostgreSQL the whole database."""
    quotas: tuple[Quota, ...] = ()
    """If the destination limits requests by the hour."""
    ends: Mapping[str, float] = field(default_factory=dict)
    """When what waits can all have been sent at the earliest, by account: of those whose messages
    wait long because of such limits."""
    load: Load | None = None
    """If the messages are loaded into a warehouse."""

    def count(self, cause: Cause) -> int:
        """How many messages wait for this cause."""
        return sum(each.count for each in self.waiting if each.cause == cause)

    def oldest(self, *causes: Cause) -> float | None:
        """When the oldest message was received that waits for one of these causes, or for any."""
        times = [each.oldest for each in self.waiting if not causes or each.cause in causes]
        return min(times, default=None)


def take_stats(engine: Engine, destination: str, now: float, key_for: KeyFor) -> Stats:
    """Count the messages for one destination. Raises `SQLAlchemyError`.

    Nothing is locked on either engine. The statements run one after another, so messages that
    change state meanwhile may be counted twice or not at all.
    """
    with reader(engine) as connection:
        parameters = {"destination": destination}
        answers = read_answers(connection, destination)
        waiting = _waiting(connection, parameters, key_for, answers)
        lately = _to_counts(connection, _settled_since(now - LATELY), parameters)
        return Stats(
            states=_count_states(connection, parameters, waiting),
            waiting=waiting,
            issues=_issues(connection, destination),
            last_webhook=last_received(connection, destination),
            last_sent=last_sent(connection, destination),
            died_lately=lately.get("dead", 0),
            quarantined_lately=lately.get("quarantined", 0),
            quarantine_bytes=connection.scalar(QUARANTINE_BYTES, parameters) or 0,
            answers=answers,
            deliverers=read_deliverers(connection),
            database_bytes=connection.scalar(SIZE[engine.dialect.name]) or 0,
        )


_COUNT = func.count().label("events")
_OURS = events.c.destination == bindparam("destination")

WAITING = (
    select(events.c.account, _COUNT, func.min(events.c.received_at).label("oldest"))
    .where(IS_PENDING, _OURS)
    .group_by(events.c.account)
)
FIRST_DUE = select(func.min(events.c.due_at)).where(
    IS_PENDING, _OURS, events.c.account == bindparam("account")
)
SETTLED = select(events.c.state, _COUNT).where(IS_SETTLED, _OURS).group_by(events.c.state)
DISMISSED = (
    select(events.c.state, _COUNT)
    .where(events.c.dismissed_at.is_not(None), _OURS)
    .group_by(events.c.state)
)
_last_at = func.max(events.c.settled_at)
ISSUES = (
    select(
        *(events.c.destination, events.c.state, events.c.reason),
        *(_COUNT, func.min(events.c.settled_at), _last_at, func.max(events.c.id)),
    )
    .where(text(IS_ISSUE), _OURS)
    .group_by(events.c.destination, events.c.state, events.c.reason)
    .order_by(_last_at.desc())
    .limit(MOST_ISSUES)
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


def _waiting(
    connection: Connection,
    parameters: Parameters,
    key_for: KeyFor,
    answers: Mapping[str, LastAnswer],
) -> tuple[Waiting, ...]:
    found = []
    for account, count, oldest in connection.execute(WAITING, parameters):
        key = key_for(account)
        answer = answers.get(fingerprint(key)) if key else None
        cause: Cause = "queued" if key else "held"
        if answer:
            cause = CAUSES[answer.kind]
        due_at = connection.scalar(FIRST_DUE, {**parameters, "account": account})
        found.append(Waiting(account, cause, count, oldest, due_at or oldest, answer))
    return tuple(found)


def _issues(connection: Connection, destination: str) -> tuple[Issue, ...]:
    rows = connection.execute(ISSUES, {"destination": destination})
    return tuple(Issue(to, state, reason or "", *rest) for to, state, reason, *rest in rows)


def _count_states(
    connection: Connection, parameters: Parameters, waiting: tuple[Waiting, ...]
) -> dict[str, int]:
    counts = dict.fromkeys(("pending", "held", "sent", "dead", "quarantined", "erased"), 0)
    for each in waiting:
        counts["held" if each.cause == "held" else "pending"] += each.count
    counts |= _to_counts(connection, SETTLED, parameters)
    dismissed = _to_counts(connection, DISMISSED, parameters)
    for state, count in dismissed.items():
        counts[state] = max(0, counts.get(state, 0) - count)
    return counts | {"dismissed": sum(dismissed.values())}


def _to_counts(
    connection: Connection, statement: Select[str, int], parameters: Parameters
) -> dict[str, int]:
    return dict(connection.execute(statement, parameters).all())
