"""Find events, newest first, and show one whole. Only reads, a page at a time.

A page is fetched whole before it is handed on: SQLite's log could not be emptied while a reader
stood in the middle of one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, func, literal_column, select, text

from app.outbox.conditions import IS_PENDING, IS_SETTLED, WAITING_ACCOUNTS
from app.outbox.tables import bodies, columns_of, events, whole
from app.outbox.words import ESCAPE, storable, text_to_pattern

PATIENCE = 20_000
"""Ids that a page looks through."""

PAGE = 20
"""Events in memory at once: a body may be 1 MiB."""

WINDOW = 5_000
"""Ids that one query goes through at most where no index leads to what is wanted."""

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
        return self.email is not None or self.state not in (None, "sent")

    def fits(self, event: "Event") -> bool:
        """Whether what the query let through has the words where they are wanted."""
        if self.user_id is None and self.subject is None:
            return True
        call = json.loads(event.payload or "{}")
        subject = str(call.get("properties", {}).get("email_subject", ""))
        return self.user_id in (None, call.get("userId")) and (
            self.subject is None or self.subject.casefold() in subject.casefold()
        )


@dataclass(frozen=True)
class Page:
    """Some events, newest first, and where to go on."""

    events: tuple["Event", ...]
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


_WHOLE = select(*columns_of(field.name for field in fields(Event))).select_from(whole)

# of each event that is looked through, whatever else is asked for: not by way of all bodies
_PAYLOAD = (
    select(bodies.c.payload)
    .where(bodies.c.event == events.c.id)
    .correlate(events)
    .scalar_subquery()
)

# a sum, not a column: or SQLite goes down the whole table, for it is in this order already
_ID_TO_SORT: ColumnElement[int] = events.c.id + literal_column("0")


class Search:
    """Looks through what is kept. `key_for` gives an account's key, if there is one."""

    def __init__(self, engine: Engine, key_for: Callable[[str], str | None]) -> None:
        self._key_for = key_for
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")

    def one(self, message_id: str) -> Event | None:
        """The event with this id."""
        found = self._fetch(_WHOLE.where(events.c.message_id == storable(message_id)))
        return found[0] if found else None

    def find(self, wanted: Wanted, limit: int, before: int | None = None) -> Iterator[Event]:
        """The newest `limit` events, or those older than the one with the id `before`."""
        for found, _ in self._steps(wanted, limit, before):
            yield from found

    def page(self, wanted: Wanted, limit: int, before: int | None = None) -> Page:
        """The same, but it gives up after `PATIENCE` ids: what is rare makes no page slow."""
        events: list[Event] = []
        lowest, newest = self._ids()
        start = high = newest + 1 if before is None else before
        for found, high in self._steps(wanted, limit, before):
            events += found
            if start - high >= PATIENCE and not wanted.has_index:
                break
        older = high if high > lowest else None
        gave_up = older is not None and len(events) < limit
        return Page(tuple(events), older, self._received_at(high) if gave_up else None)

    def _steps(
        self, wanted: Wanted, limit: int, before: int | None
    ) -> Iterator[tuple[list[Event], int]]:
        """Events, and the id down to which all have been looked at."""
        lowest, highest = self._ids()
        high = highest + 1 if before is None else before
        conditions = list(self._conditions(wanted))
        while limit > 0 and high > lowest:
            low = lowest if wanted.has_index else max(lowest, high - WINDOW)
            most = min(limit, PAGE)
            page = self._page(conditions, low, high, most, sort=wanted.has_index)
            high = page[-1].id if len(page) == most else low
            found = [event for event in page if wanted.fits(event)]
            limit -= len(found)
            yield found, high

    def _page(
        self, conditions: list[ColumnElement[bool]], low: int, high: int, most: int, sort: bool
    ) -> list[Event]:
        id_ = _ID_TO_SORT if sort else events.c.id
        wanted = select(events.c.id).where(id_ >= low, id_ < high, *conditions)
        ids = wanted.order_by(id_.desc()).limit(most)
        return self._fetch(_WHOLE.where(events.c.id.in_(ids)).order_by(events.c.id.desc()))

    def _fetch(self, statement: Any) -> list[Event]:
        with self._reader.connect() as connection:
            found = [Event(**row) for row in connection.execute(statement).mappings()]
        return [self._with_held(event) for event in found]

    def _with_held(self, event: Event) -> Event:
        if event.state == "pending" and self._key_for(event.account) is None:
            return replace(event, state="held")
        return event

    def _ids(self) -> tuple[int, int]:
        """The lowest and the highest; of an empty table 1 and 0."""
        with self._reader.connect() as connection:
            lowest = connection.scalar(select(func.min(events.c.id)))
            highest = connection.scalar(select(func.max(events.c.id)))
        return lowest or 1, highest or 0

    def _received_at(self, before: int) -> float | None:
        """When the oldest came that was looked at."""
        oldest = select(events.c.received_at).where(events.c.id >= before).order_by(events.c.id)
        with self._reader.connect() as connection:
            return connection.scalar(oldest.limit(1))

    def _conditions(self, wanted: Wanted) -> Iterator[ColumnElement[bool]]:
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
        with self._reader.connect() as connection:
            waiting = list(connection.scalars(text(WAITING_ACCOUNTS)))
        return [account for account in waiting if self._key_for(account) is None]
