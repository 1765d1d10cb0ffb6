"""Find messages, newest first, and show one of them whole. Only reads, one page at a time.

A page is read completely before it is returned, because SQLite's log cannot be emptied while a
reader is in the middle of one.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Engine, func, literal_column, select, text

from app.database.engine import reader
from app.database.sql import WAITING_ACCOUNTS, storable
from app.database.tables import bodies, columns_of, events, whole
from app.outbox.batches import within
from app.outbox.found import Description, Event, Page, Summary
from app.outbox.search_query import MOST_WORDS, State, Wanted, is_to, to_conditions

__all__ = [
    "MOST_WORDS",
    "Description",
    "Event",
    "Page",
    "Search",
    "Searched",
    "State",
    "Summary",
    "Wanted",
]

PATIENCE = 20_000
"""Ids that are searched for one page."""

PAGE = 20
"""Messages that one query returns."""

MOST_BYTES = 1 << 21
"""Bytes of bodies in memory at once. A single body may be 1 MiB."""

WINDOW = 5_000
"""Ids that one query searches at most if no index leads to the matches."""

WORDS_WINDOW = 50
"""The same if each payload has to be read: one of 32 KB may take 10 ms."""

LONGEST = 2.0
"""Seconds that one page may take."""


@dataclass(frozen=True)
class Searched:
    """What a search needs of one direction."""

    destination: str
    key_for: Callable[[str], str | None]
    """Returns an account's key, or None."""
    describe: Callable[[Any], Description]
    """Called with a payload's JSON."""


_WHOLE = select(*columns_of(field.name for field in fields(Event))).select_from(whole)

_LISTED = tuple(field.name for field in fields(Summary) if field.name in events.c)
_SUMMARY = select(*columns_of((*_LISTED, "payload"))).select_from(whole)

# a sum instead of the column: SQLite would otherwise read the whole table, which is in this order
_ID_TO_SORT: ColumnElement[int] = events.c.id + literal_column("0")

Kept = TypeVar("Kept", Event, Summary)


class Search:
    """Search the messages of some directions.

    All methods raise `SQLAlchemyError` if the database is out of reach.
    """

    def __init__(self, engine: Engine, directions: Sequence[Searched]) -> None:
        self._engine = engine
        self._directions = {each.destination: each for each in directions}

    def one(self, message_id: str, destination: str | None = None) -> Event | None:
        """The message with this id for this destination, or for any; None if there is none."""
        statement = _WHOLE.where(*self._has_id(message_id, destination)).order_by(events.c.id)
        with reader(self._engine) as connection:
            row = connection.execute(statement).mappings().first()
        return self._with_held(Event(**row)) if row else None

    def named(self, message_id: str, destination: str | None = None) -> tuple[Summary, ...]:
        """The summaries of the messages with this id: at most one for each destination."""
        has_id = self._has_id(message_id, destination)
        return tuple(self._list(_SUMMARY.where(*has_id).order_by(events.c.id.desc())))

    def describe(self, event: Event) -> Description:
        """What the event's payload says of itself."""
        return self._describe(event.destination, event.payload)

    def _describe(self, destination: str, payload: str | None) -> Description:
        if payload is None:
            return Description()
        return self._directions[destination].describe(json.loads(payload))

    def _has_id(self, message_id: str, destination: str | None) -> Sequence[ColumnElement[bool]]:
        names = [name for name in self._directions if destination in (None, name)]
        return events.c.message_id == storable(message_id), is_to(names)

    def find(self, wanted: Wanted, limit: int, before: int | None = None) -> Iterator[Event]:
        """The newest `limit` matches, or those older than the message with the id `before`."""
        for matches, _ in self._steps(wanted, limit, before):
            yield from self.whole([summary.id for summary in matches])

    def whole(self, ids: Sequence[int]) -> Iterator[Event]:
        """These messages, newest first, with only a few of them in memory at once."""
        sizes = select(bodies.c.event, func.length(bodies.c.raw)).where(bodies.c.event.in_(ids))
        with reader(self._engine) as connection:
            rows = connection.execute(sizes.order_by(bodies.c.event.desc())).all()
        left = [(row[0], row[1]) for row in rows]
        while left:
            group = within(left, MOST_BYTES)
            del left[: len(group)]
            statement = _WHOLE.where(events.c.id.in_(group)).order_by(events.c.id.desc())
            with reader(self._engine) as connection:
                page = [Event(**row) for row in connection.execute(statement).mappings()]
            yield from map(self._with_held, page)

    def page(self, wanted: Wanted, limit: int, before: int | None = None) -> Page:
        """Summaries of the same matches. Gives up after `PATIENCE` ids or `LONGEST` seconds, so
        that a search for something rare is not slow."""
        events: list[Summary] = []
        lowest, newest = self._ids()
        start = high = newest + 1 if before is None else before
        deadline = time.monotonic() + LONGEST
        for matches, high in self._steps(wanted, limit, before):
            events += matches
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
        """Yields matches, and the lowest id that was searched so far."""
        lowest, highest = self._ids()
        high = highest + 1 if before is None else before
        conditions = list(to_conditions(wanted, [*self._directions], self._accounts_without_key))
        window = WORDS_WINDOW if wanted.has_words else WINDOW
        while limit > 0 and high > lowest:
            low = lowest if wanted.has_index else max(lowest, high - window)
            most = min(limit, PAGE)
            page = self._page(conditions, low, high, most, sort=wanted.has_index)
            high = page[-1].id if len(page) == most else low
            matches = [each for each in page if wanted.matches(each.user_id, each.title)]
            limit -= len(matches)
            yield matches, high

    def _page(
        self, conditions: list[ColumnElement[bool]], low: int, high: int, most: int, sort: bool
    ) -> list[Summary]:
        id_ = _ID_TO_SORT if sort else events.c.id
        matches = select(events.c.id).where(id_ >= low, id_ < high, *conditions)
        ids = matches.order_by(id_.desc()).limit(most)
        return self._list(_SUMMARY.where(events.c.id.in_(ids)).order_by(events.c.id.desc()))

    def _list(self, statement: Any) -> list[Summary]:
        with reader(self._engine) as connection:
            rows = [self._to_summary(**row) for row in connection.execute(statement).mappings()]
        return list(map(self._with_held, rows))

    def _to_summary(self, payload: str | None, **columns: Any) -> Summary:
        user_id, title = self._describe(columns["destination"], payload)
        return Summary(**columns, user_id=user_id, title=title)

    def _with_held(self, event: Kept) -> Kept:
        key_for = self._directions[event.destination].key_for
        if event.state == "pending" and key_for(event.account) is None:
            return replace(event, state="held")
        return event

    def _ids(self) -> tuple[int, int]:
        """The lowest and the highest id; 1 and 0 if the table is empty."""
        with reader(self._engine) as connection:
            lowest = connection.scalar(select(func.min(events.c.id)))
            highest = connection.scalar(select(func.max(events.c.id)))
        return lowest or 1, highest or 0

    def _received_at(self, before: int) -> float | None:
        """When the oldest message was received that was searched."""
        oldest = select(events.c.received_at).where(events.c.id >= before).order_by(events.c.id)
        with reader(self._engine) as connection:
            return connection.scalar(oldest.limit(1))

    def _accounts_without_key(self, destination: str) -> list[str]:
        key_for = self._directions[destination].key_for
        with reader(self._engine) as connection:
            waiting = list(connection.scalars(text(WAITING_ACCOUNTS), {"destination": destination}))
        return [account for account in waiting if key_for(account) is None]
