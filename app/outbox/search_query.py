"""What a search asks for, and the SQL conditions for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import ColumnElement, and_, false, literal_column, or_, select

from app.database.sql import ESCAPE, IS_PENDING, IS_SETTLED, storable, text_to_pattern
from app.database.tables import SHORT_EMAIL, bodies, events

MOST_WORDS = 254
"""The longest text that is searched for, in characters: an address may have as many. Twice the
length takes twice the time."""

State = Literal[
    "pending", "held", "unidentified", "sent", "dead", "expired", "quarantined", "erased"
]
"""A held message waits because its account has no key. The other states are those of the table."""

Choice = State | Literal["waiting", "dismissed"]
"""What a search may ask for. Waiting is all that is still to be sent: pending, held or
unidentified. Dismissed messages are dead, expired or quarantined ones that an operator has put
aside: those states alone mean the others."""

CHOICES: tuple[Choice, ...] = (*get_args(State), "waiting", "dismissed")

Accounts = Callable[[str], Sequence[str]]
"""Returns the accounts without a key that have messages waiting for this destination."""


@dataclass(frozen=True)
class Wanted:
    """Which messages to find; None means any. `since` and `until` limit when a message was
    received, in seconds since the epoch."""

    destination: str | None = None
    state: Choice | None = None
    collection: str | None = None
    email: str | None = None
    email_prefix: str | None = None
    email_part: str | None = None
    account: str | None = None
    since: float | None = None
    until: float | None = None
    id_prefix: str | None = None
    """How a message id begins, if it is the bridge's own, which ends in hexadecimal digits."""
    words: str | None = None
    """Any part of a user id or of a value of the call, in upper or lower case."""
    reason: str | None = None
    """Why it waits or has ended (app/outbox/reasons.py)."""
    reason_part: str | None = None
    """Any part of that, in upper or lower case."""
    message_ids: tuple[str, ...] | None = None

    def matches(self, words: str) -> bool:
        """Whether a row that the SQL conditions let through is a match. The pattern for words lets
        through more (`text_to_pattern`), and looks at the names in a call too."""
        return self.words is None or self.words.casefold() in words.casefold()


def to_conditions(
    wanted: Wanted, dialect: str, destinations: Sequence[str], accounts_without_key: Accounts
) -> Iterator[ColumnElement[bool]]:
    """The conditions that messages for one of these destinations have to meet.
    `accounts_without_key` is called only if the state depends on it."""
    destinations = [name for name in destinations if wanted.destination in (None, name)]
    yield from _state_conditions(wanted.state, destinations, accounts_without_key)
    yield from _person_conditions(wanted, dialect)
    if wanted.message_ids is not None:
        yield events.c.message_id.in_([storable(name) for name in wanted.message_ids])
    yield from _text_conditions(wanted)
    if wanted.since is not None:
        yield events.c.received_at >= wanted.since
    if wanted.until is not None:
        yield events.c.received_at < wanted.until
    if wanted.id_prefix is not None:
        # "g" comes after each hexadecimal digit, in any order of letters that a database may have
        yield events.c.message_id >= wanted.id_prefix
        yield events.c.message_id < f"{wanted.id_prefix}g"


def _text_conditions(wanted: Wanted) -> Iterator[ColumnElement[bool]]:
    for column, value in (
        (events.c.collection, wanted.collection),
        (events.c.account, wanted.account),
        (events.c.reason, wanted.reason),
    ):
        if value is not None:
            yield column == storable(value)
    if wanted.reason_part is not None:
        yield events.c.reason.icontains(wanted.reason_part, autoescape=True)
    if wanted.words is not None:
        yield _PAYLOAD.ilike(text_to_pattern(wanted.words), escape=ESCAPE)


def _person_conditions(wanted: Wanted, dialect: str) -> Iterator[ColumnElement[bool]]:
    if wanted.email is not None:
        yield events.c.email == _as_kept(wanted.email)
    if wanted.email_prefix is not None:
        yield from email_begins(dialect, wanted.email_prefix)
    if wanted.email_part is not None:
        yield events.c.email.contains(_as_kept(wanted.email_part), autoescape=True)


def email_begins(dialect: str, prefix: str) -> Iterator[ColumnElement[bool]]:
    """The conditions that an address begins with this, as an index of each engine has them."""
    first = _as_kept(prefix)
    after = f"{first}\U0010ffff"
    if dialect == "postgresql":
        yield literal_column(SHORT_EMAIL)
        yield events.c.email.op("~>=~", is_comparison=True)(first)
        yield events.c.email.op("~<~", is_comparison=True)(after)
    else:
        yield events.c.email >= first
        yield events.c.email < after


def _as_kept(email: str) -> str:
    return storable(email.strip().lower())


def _state_conditions(
    state: Choice | None, destinations: Sequence[str], accounts_without_key: Accounts
) -> Iterator[ColumnElement[bool]]:
    if state in ("pending", "held"):
        yield IS_PENDING
        yield or_(
            false(),
            *(
                _waits(state, destination, accounts_without_key(destination))
                for destination in destinations
            ),
        )
        return
    yield is_to(destinations)
    match state:
        case None:
            pass
        case "sent":
            yield events.c.state == state
        case "dismissed":
            yield events.c.dismissed_at.is_not(None)
        case "waiting":
            unidentified = events.c.state == literal_column("'unidentified'")
            yield or_(IS_PENDING, and_(unidentified, IS_SETTLED))
        case _:
            yield events.c.state == state
            yield IS_SETTLED
            yield events.c.dismissed_at.is_(None)


def _waits(state: str, destination: str, without_key: Sequence[str]) -> ColumnElement[bool]:
    is_held = events.c.account.in_(without_key)
    return and_(events.c.destination == destination, is_held if state == "held" else ~is_held)


def is_to(destinations: Sequence[str]) -> ColumnElement[bool]:
    """Whether a message is for one of these destinations."""
    if len(destinations) == 1:  # which both engines plan better than a list of one
        return events.c.destination == destinations[0]
    return events.c.destination.in_(destinations)


# a subquery for each message, so that the engines do not start from the table of bodies
_PAYLOAD = (
    select(bodies.c.payload)
    .where(bodies.c.event == events.c.id)
    .correlate(events)
    .scalar_subquery()
)
