"""What a search asks for, and the SQL conditions for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, select

from app.database.sql import ESCAPE, IS_PENDING, IS_SETTLED, storable, text_to_pattern
from app.database.tables import bodies, events

MOST_WORDS = 254
"""The longest text that is searched for, in characters: an address may have as many. Twice the
length takes twice the time."""

State = Literal["pending", "held", "sent", "dead", "quarantined", "erased"]
"""A held message waits because its account has no key. The other states are those of the table."""


@dataclass(frozen=True)
class Wanted:
    """Which messages to find; None means any. `since` and `until` limit when a message was
    received, in seconds since the epoch."""

    state: State | None = None
    collection: str | None = None
    email: str | None = None
    account: str | None = None
    since: float | None = None
    until: float | None = None
    user_id: str | None = None
    subject: str | None = None
    """Any part of the email's subject, in upper or lower case."""

    @property
    def has_index(self) -> bool:
        """Whether an index leads to few messages. For "sent" it does not: nearly all that is kept
        was sent."""
        return not self.has_words and (self.email is not None or self.state not in (None, "sent"))

    @property
    def has_words(self) -> bool:
        """Whether each payload has to be read."""
        return self.user_id is not None or self.subject is not None

    def matches(self, user_id: str | None, subject: str) -> bool:
        """Whether a row that the SQL conditions let through is a match. The patterns for text may
        let through more (`text_to_pattern`)."""
        return self.user_id in (None, user_id) and (
            self.subject is None or self.subject.casefold() in subject.casefold()
        )


def to_conditions(
    wanted: Wanted, destination: str, accounts_without_key: Callable[[], Sequence[str]]
) -> Iterator[ColumnElement[bool]]:
    """The conditions that messages for this destination have to meet. `accounts_without_key` is
    called only if the state depends on it."""
    yield events.c.destination == destination
    yield from _state_conditions(wanted.state, accounts_without_key)
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
    if wanted.user_id is not None:
        yield _PAYLOAD.ilike(text_to_pattern(wanted.user_id), escape=ESCAPE)
    if wanted.subject is not None:
        yield _PAYLOAD.ilike(text_to_pattern(wanted.subject), escape=ESCAPE)


def _state_conditions(
    state: State | None, accounts_without_key: Callable[[], Sequence[str]]
) -> Iterator[ColumnElement[bool]]:
    match state:
        case None:
            pass
        case "pending":
            yield IS_PENDING
            yield events.c.account.not_in(accounts_without_key())
        case "held":
            yield IS_PENDING
            yield events.c.account.in_(accounts_without_key())
        case "sent":
            yield events.c.state == state
        case _:
            yield events.c.state == state
            yield IS_SETTLED


# a subquery for each message, so that the engines do not start from the table of bodies
_PAYLOAD = (
    select(bodies.c.payload)
    .where(bodies.c.event == events.c.id)
    .correlate(events)
    .scalar_subquery()
)
