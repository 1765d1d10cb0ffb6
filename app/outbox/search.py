"""Find messages, newest first, and show one of them whole. Only reads, one page at a time.

A page is read completely before it is returned, because SQLite's log cannot be emptied while a
reader is in the middle of one.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Engine, func, literal_column, select, text

from app.database.engine import reader
from app.database.sql import WAITING_ACCOUNTS, storable
from app.database.tables import bodies, columns_of, events, whole
from app.outbox.batches import within
from app.outbox.counts import Counts, count_states
from app.outbox.found import Description, Event, Page, Summary
from app.outbox.search_query import MOST_WORDS, State, Wanted, is_to, to_conditions
from app.outbox.search_range import has_index, ids_to_search, is_indexed

__all__ = [
    "MOST_WORDS",
    "Counts",
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

MOST_IDS = 100_000
"""Ids that one query for nothing else returns."""


@dataclass(frozen=True)
class Searched:
    """What a search needs of one direction."""

    destination: str
    key_for: Callable[[str], str | None]
    """Returns an account's key, or None."""
    describe: Callable[[Any], Description]
    """Called with a payload's JSON."""


class _Step(NamedTuple):
    """One query of a search."""

    matches: list[Summary]
    back_to: int
    """The lowest id that was searched so far."""
    by_index: bool
    """Whether an index led to the matches."""


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
        for step in self._steps(wanted, limit, before):
            yield from self.whole([summary.id for summary in step.matches])

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
        found: list[Summary] = []
        lowest, newest = ids_to_search(self._engine, wanted)
        start = high = newest + 1 if before is None else before
        deadline = time.monotonic() + LONGEST
        for step in self._steps(wanted, limit, before):
            found += step.matches
            high = step.back_to
            if time.monotonic() > deadline:
                break
            if start - high >= PATIENCE and not step.by_index:
                break
        older = high if high > lowest else None
        gave_up = older is not None and len(found) < limit
        return Page(tuple(found), older, self._received_at(high) if gave_up else None)

    def _steps(self, wanted: Wanted, limit: int, before: int | None) -> Iterator["_Step"]:
        lowest, highest = ids_to_search(self._engine, wanted)
        by_index = has_index(self._engine, wanted, self._conditions)
        high = highest + 1 if before is None else before
        conditions = self._conditions(wanted)
        window = WINDOW if wanted.words is None else WORDS_WINDOW
        while limit > 0 and high > lowest:
            low = lowest if by_index else max(lowest, high - window)
            most = min(limit, PAGE)
            page = self._page(conditions, low, high, most, sort=by_index)
            high = page[-1].id if len(page) == most else low
            matches = [each for each in page if wanted.matches(each.words)]
            limit -= len(matches)
            yield _Step(matches, high, by_index)

    def counts(self, wanted: Wanted) -> Counts:
        """How many messages match in each state, whatever state is wanted. Only the newest are
        counted if there are many."""
        return count_states(self._engine, wanted, self._conditions, self._words_of)

    def has_email(self, email: str) -> bool:
        """Whether any message is of a person with exactly this address."""
        conditions = self._conditions(Wanted(email=email))
        with reader(self._engine) as connection:
            return connection.scalar(select(events.c.id).where(*conditions).limit(1)) is not None

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        names, dialect = [*self._directions], self._engine.dialect.name
        return list(to_conditions(wanted, dialect, names, self._accounts_without_key))

    def _words_of(self, destination: str, payload: str | None) -> str:
        return self._describe(destination, payload).words

    def ids(
        self, wanted: Wanted, *conditions: ColumnElement[bool]
    ) -> Iterator[Sequence[tuple[int, str]]]:
        """The ids of all matches that also meet the conditions, oldest first, some at a time, each
        with its destination."""
        low, highest = ids_to_search(self._engine, wanted)
        by_index = is_indexed(wanted)
        conditions = (*self._conditions(wanted), *conditions)
        while low <= highest:
            if wanted.words is not None:
                high = low + WORDS_WINDOW
                page = self._page(conditions, low, high, WORDS_WINDOW, sort=False)
                matches = [each for each in reversed(page) if wanted.matches(each.words)]
                yield [(each.id, each.destination) for each in matches]
            else:
                high = highest + 1 if by_index else low + WINDOW
                found = self._some_ids(conditions, low, high, sort=by_index)
                high = found[-1][0] + 1 if len(found) == MOST_IDS else high
                yield found
            low = high

    def _some_ids(
        self, conditions: Sequence[ColumnElement[bool]], low: int, high: int, sort: bool
    ) -> list[tuple[int, str]]:
        id_ = _ID_TO_SORT if sort else events.c.id
        matches = select(events.c.id, events.c.destination).where(
            id_ >= low, id_ < high, *conditions
        )
        with reader(self._engine) as connection:
            rows = connection.execute(matches.order_by(id_).limit(MOST_IDS)).all()
        return [(row.id, row.destination) for row in rows]

    def _page(
        self, conditions: Sequence[ColumnElement[bool]], low: int, high: int, most: int, sort: bool
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
        described = self._describe(columns["destination"], payload)
        return Summary(
            **columns, user_id=described.user_id, title=described.title, words=described.words
        )

    def _with_held(self, event: Kept) -> Kept:
        key_for = self._directions[event.destination].key_for
        if event.state == "pending" and key_for(event.account) is None:
            return replace(event, state="held")
        return event

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
