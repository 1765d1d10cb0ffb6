"""Find events, newest first, and show one whole. Only reads, a page at a time.

A page is fetched whole before it is handed on: SQLite's log could not be emptied while a reader
stood in the middle of one.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

from sqlalchemy import ColumnElement, Engine, func, literal_column, select, text

from app.database.engine import reader
from app.database.sql import (
    ESCAPE,
    IS_PENDING,
    IS_SETTLED,
    WAITING_ACCOUNTS,
    storable,
    text_to_pattern,
)
from app.database.tables import bodies, columns_of, events, whole

PATIENCE = 20_000
"""Ids that a page looks through."""

PAGE = 20
"""Events that one query gives."""

MOST_BYTES = 1 << 21
"""Of bodies in memory at once, or one body: it may be 1 MiB."""

WINDOW = 5_000
"""Ids that one query goes through at most where no index leads to what is wanted."""

WORDS_WINDOW = 100
"""The same where words are looked for in each call: of 32 KB, that may take 10 ms."""

MOST_WORDS = 254
"""Letters that are looked for at most, as many as an address may have: to look for twice as many
takes twice as long."""

LONGEST = 2.0
"""Seconds that a page may look."""

State = Literal["pending", "held", "sent", "dead", "quarantined", "erased"]
"""Held is what waits and has no key to be sent with; the others are as the table has them."""


@dataclass(frozen=True)
class Wanted:
    """Which events; None is any. `since` and `until` are of receipt, in seconds since the epoch."""

    state: State | None = None
    collection: str | None = None
    email: str | None = None
    account: str | None = None
    since: float | None = None
    until: float | None = None
    user_id: str | None = None
    subject: str | None = None
    """In any case, and any part of it."""

    @property
    def has_index(self) -> bool:
        """Whether an index leads to few events; nearly all that is kept is sent."""
        return not self.has_words and (self.email is not None or self.state not in (None, "sent"))

    @property
    def has_words(self) -> bool:
        """Whether each call has to be looked through."""
        return self.user_id is not None or self.subject is not None

    def fits(self, summary: "Summary") -> bool:
        """Whether what the query let through has the words where they are wanted."""
        return self.user_id in (None, summary.user_id) and (
            self.subject is None or self.subject.casefold() in summary.subject.casefold()
        )


@dataclass(frozen=True)
class Page:
    """Some events, newest first, and where to go on."""

    events: tuple["Summary", ...]
    older: int | None
    """The `before` of the next page; None where there is none."""
    searched_back_to: float | None
    """Where it gave up before the page was full: events older than this were not looked at."""


@dataclass(frozen=True)
class Event:
    """All that is kept of one event. Times are seconds since the epoch."""

    id: int
    message_id: str
    account: str
    state: State
    collection: str | None
    email: str | None
    received_at: float
    due_at: float
    settled_at: float | None
    tries: int
    lease: str | None
    error: str | None
    payload: str | None
    raw: bytes
    history: str | None
    """For `read_history`."""

    @property
    def user_id(self) -> str | None:
        """The one that Segment gets."""
        return _of_call(self.payload)[0]

    @property
    def subject(self) -> str:
        """The email's, or "" if the event has none."""
        return _of_call(self.payload)[1]


@dataclass(frozen=True)
class Summary:
    """What a list shows of an event: neither its body nor its call, which are large."""

    id: int
    message_id: str
    account: str
    state: State
    collection: str | None
    email: str | None
    received_at: float
    tries: int
    user_id: str | None
    subject: str


def _of_call(payload: str | None) -> tuple[str | None, str]:
    """The user id and the email's subject."""
    call = json.loads(payload) if payload else {}
    if not isinstance(call, dict):
        return None, ""
    properties = call.get("properties")
    subject = properties.get("email_subject", "") if isinstance(properties, dict) else ""
    return call.get("userId"), str(subject)


_WHOLE = select(*columns_of(field.name for field in fields(Event))).select_from(whole)

_LISTED = tuple(field.name for field in fields(Summary) if field.name in events.c)
_SUMMARY = select(*columns_of((*_LISTED, "payload"))).select_from(whole)

# of each event that is looked through, whatever else is asked for: not by way of all bodies
_PAYLOAD = (
    select(bodies.c.payload)
    .where(bodies.c.event == events.c.id)
    .correlate(events)
    .scalar_subquery()
)

# a sum, not a column: or SQLite goes down the whole table, for it is in this order already
_ID_TO_SORT: ColumnElement[int] = events.c.id + literal_column("0")


Kept = TypeVar("Kept", Event, Summary)


class Search:
    """Looks through what is kept for one destination. `key_for` gives an account's key, if there
    is one."""

    def __init__(
        self, engine: Engine, destination: str, key_for: Callable[[str], str | None]
    ) -> None:
        self._engine = engine
        self._destination = destination
        self._key_for = key_for

    def one(self, message_id: str) -> Event | None:
        """The event with this id."""
        with reader(self._engine) as connection:
            row = (
                connection.execute(_WHOLE.where(*self._named(message_id))).mappings().one_or_none()
            )
        return self._with_held(Event(**row)) if row else None

    def named(self, message_id: str) -> tuple[Summary, ...]:
        """What a list shows of the event with this id."""
        return tuple(self._list(_SUMMARY.where(*self._named(message_id))))

    def _named(self, message_id: str) -> tuple[ColumnElement[bool], ...]:
        is_ours = events.c.destination == self._destination
        return events.c.message_id == storable(message_id), is_ours

    def find(self, wanted: Wanted, limit: int, before: int | None = None) -> Iterator[Event]:
        """The newest `limit` events, or those older than the one with the id `before`."""
        for found, _ in self._steps(wanted, limit, before):
            yield from self.whole([summary.id for summary in found])

    def whole(self, ids: Sequence[int]) -> Iterator[Event]:
        """These events, newest first: but a few are in memory at once."""
        sizes = select(bodies.c.event, func.length(bodies.c.raw)).where(bodies.c.event.in_(ids))
        with reader(self._engine) as connection:
            found = connection.execute(sizes.order_by(bodies.c.event.desc())).all()
        for group in _in_groups([(row[0], row[1]) for row in found]):
            statement = _WHOLE.where(events.c.id.in_(group)).order_by(events.c.id.desc())
            with reader(self._engine) as connection:
                page = [Event(**row) for row in connection.execute(statement).mappings()]
            yield from map(self._with_held, page)

    def page(self, wanted: Wanted, limit: int, before: int | None = None) -> Page:
        """What a list shows of the same, but it gives up after `PATIENCE` ids or `LONGEST` seconds:
        what is rare makes no page slow."""
        events: list[Summary] = []
        lowest, newest = self._ids()
        start = high = newest + 1 if before is None else before
        deadline = time.monotonic() + LONGEST
        for found, high in self._steps(wanted, limit, before):
            events += found
            if time.monotonic() > deadline:
                break
            if start - high >= PATIENCE and not wanted.has_index:
                break
        older = high if high > lowest else None
        gave_up = older is not None and len(events) < limit
        return Page(tuple(events), older, self._received_at(high) if gave_up else None)

    def _steps(
        self, wanted: Wanted, limit: int, before: int | None
    ) -> Iterator[tuple[list[Summary], int]]:
        """Events, and the id down to which all have been looked at."""
        lowest, highest = self._ids()
        high = highest + 1 if before is None else before
        conditions = list(self._conditions(wanted))
        window = WORDS_WINDOW if wanted.has_words else WINDOW
        while limit > 0 and high > lowest:
            low = lowest if wanted.has_index else max(lowest, high - window)
            most = min(limit, PAGE)
            page = self._page(conditions, low, high, most, sort=wanted.has_index)
            high = page[-1].id if len(page) == most else low
            found = [summary for summary in page if wanted.fits(summary)]
            limit -= len(found)
            yield found, high

    def _page(
        self, conditions: list[ColumnElement[bool]], low: int, high: int, most: int, sort: bool
    ) -> list[Summary]:
        id_ = _ID_TO_SORT if sort else events.c.id
        wanted = select(events.c.id).where(id_ >= low, id_ < high, *conditions)
        ids = wanted.order_by(id_.desc()).limit(most)
        return self._list(_SUMMARY.where(events.c.id.in_(ids)).order_by(events.c.id.desc()))

    def _list(self, statement: Any) -> list[Summary]:
        with reader(self._engine) as connection:
            rows = [_to_summary(**row) for row in connection.execute(statement).mappings()]
        return list(map(self._with_held, rows))

    def _with_held(self, event: Kept) -> Kept:
        if event.state == "pending" and self._key_for(event.account) is None:
            return replace(event, state="held")
        return event

    def _ids(self) -> tuple[int, int]:
        """The lowest and the highest; of an empty table 1 and 0."""
        with reader(self._engine) as connection:
            lowest = connection.scalar(select(func.min(events.c.id)))
            highest = connection.scalar(select(func.max(events.c.id)))
        return lowest or 1, highest or 0

    def _received_at(self, before: int) -> float | None:
        """When the oldest came that was looked at."""
        oldest = select(events.c.received_at).where(events.c.id >= before).order_by(events.c.id)
        with reader(self._engine) as connection:
            return connection.scalar(oldest.limit(1))

    def _conditions(self, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
        yield events.c.destination == self._destination
        yield from self._state_conditions(wanted.state)
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

    def _state_conditions(self, state: State | None) -> Iterator[ColumnElement[bool]]:
        match state:
            case None:
                pass
            case "pending":
                yield IS_PENDING
                yield events.c.account.not_in(self._accounts_without_key())
            case "held":
                yield IS_PENDING
                yield events.c.account.in_(self._accounts_without_key())
            case "sent":
                yield events.c.state == state
            case _:
                yield events.c.state == state
                yield IS_SETTLED

    def _accounts_without_key(self) -> list[str]:
        with reader(self._engine) as connection:
            waiting = list(
                connection.scalars(text(WAITING_ACCOUNTS), {"destination": self._destination})
            )
        return [account for account in waiting if self._key_for(account) is None]


def _to_summary(payload: str | None, **columns: Any) -> Summary:
    user_id, subject = _of_call(payload)
    return Summary(**columns, user_id=user_id, subject=subject)


def _in_groups(sizes: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """Ids with their sizes → ids that are not over `MOST_BYTES` together, unless it is one."""
    group: list[int] = []
    total = 0
    for id_, size in sizes:
        if group and total + size > MOST_BYTES:
            yield group
            group, total = [], 0
        group.append(id_)
        total += size
    if group:
        yield group
