"""What a search asks for, and the SQL conditions for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, and_, false, or_, select

from app.database.sql import ESCAPE, IS_PENDING, IS_SETTLED, storable, text_to_pattern
from app.database.tables import bodies, events

MOST_WORDS = 254
"""The longest text that is searched for, in characters: an address may have as many. Twice the
length takes twice the time."""

State = Literal[
    "pending", "held", "unidentified", "sent", "dead", "expired", "quarantined", "erased"
]
"""A held message waits because its account has no key. The other states are those of the table."""

Accounts = Callable[[str], Sequence[str]]
"""Returns the accounts without a key that have messages waiting for this destination."""


@dataclass(frozen=True)
class Wanted:
    """Which messages to find; None means any. `since` and `until` limit when a message was
    received, in seconds since the epoch."""

    destination: str | None = None
    state: State | None = None
    collection: str | None = None
    email: str | None = None
    account: str | None = None
    since: float | None = None
    until: float | None = None
    user_id: str | None = None
    title: str | None = None
    """Any part of the title, in upper or lower case."""

    @property
    def has_index(self) -> bool:
        """Whether an index leads to few messages. For "sent" it does not: nearly all that is kept
        was sent."""
        return not self.has_words and (self.email is not None or self.state not in (None, "sent"))

    @property
    def has_words(self) -> bool:
        """Whether each payload has to be read."""
        return self.user_id is not None or self.title is not None

    def matches(self, user_id: str | None, title: str) -> bool:
        """Whether a row that the SQL conditions let through is a match. The patterns for text may
        let through more (`text_to_pattern`)."""
        return self.user_id in (None, user_id) and (
            self.title is None or self.title.casefold() in title.casefold()
        )


def to_conditions(
    wanted: Wanted, destinations: Sequence[str], accounts_without_key: Accounts
) -> Iterator[ColumnElement[bool]]:
    """The conditions that messages for one of these destinations have to meet.
    `accounts_without_key` is called only if the state depends on it."""
    destinations = [name for name in destinations if wanted.destination in (None, name)]
    yield from _state_conditions(wanted.state, destinations, accounts_without_key)
    if wanted.collection is not None:
        yield events.c.collection == wanted.collection
    if wanted.email is not None:
        yield events.c.email == storable(wanted.email.strip().lower())
    if wanted.account is not None:
        yield events.c.account == storable(wanted.account)
    if wanted.since is not None:
        yield events.c.received_at >= wanted.since
    if wanted.until is not None:
        yield events.c.received_at < wanted.until
    for words in (wanted.user_id, wanted.title):
        if words is not None:
            yield _PAYLOAD.ilike(text_to_pattern(words), escape=ESCAPE)


def _state_conditions(
    state: State | None, destinations: Sequence[str], accounts_without_key: Accounts
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
        case _:
            yield events.c.state == state
            yield IS_SETTLED


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
