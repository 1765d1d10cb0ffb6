"""Retry or dismiss all messages that a search asks for, in short steps."""

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement

from app.database.tables import events
from app.destination import Destination
from app.outbox.batches import Wait, in_batches
from app.outbox.outcomes import Outcome
from app.outbox.requeue import IS_DISMISSIBLE, Requeue, is_retriable
from app.outbox.search import Search
from app.outbox.search_query import Wanted

STEP = 300
"""Messages that are changed with one commit."""

LONGEST_COUNT = 1.0
"""Seconds that counting may take."""

Count = tuple[int, bool]
"""How many messages there are, and whether all were counted: counting gives up after a while."""


class Bulk:
    """Change what a search finds. Dismissed messages are left alone unless it asks for them by
    state or id.

    Times are in seconds since the epoch, and are always passed in. All methods raise
    `SQLAlchemyError` if the database is out of reach.
    """

    def __init__(self, search: Search, requeues: Mapping[str, Requeue]) -> None:
        """`requeues` are those of the search's destinations, by name."""
        self._search = search
        self._requeues = requeues

    def count_retriable(self, wanted: Wanted, now: float) -> Count:
        """How many of them a retry may change."""
        return self._count(wanted, is_retriable(now))

    def count_dismissible(self, wanted: Wanted) -> Count:
        """How many of them can be dismissed."""
        return self._count(wanted, IS_DISMISSIBLE)

    def count_repeatable(self, wanted: Wanted, destination: Destination, now: float) -> int:
        """How many of them may count twice at this destination if they are retried."""
        is_old = events.c.received_at < now - destination.dedupe_window
        is_there = events.c.destination == destination.name
        count, _ = self._count(wanted, is_there, events.c.state == "dead", is_old)
        return count

    def retry(self, wanted: Wanted, now: float, wait: Wait = time.sleep) -> Counter[Outcome]:
        """Requeue them, or until `wait` returns something true. Returns how many became what."""
        outcomes: Counter[Outcome] = Counter()
        steps = self._steps(wanted, is_retriable(now))
        for step in in_batches(lambda: next(steps, {}), wait):
            for destination, ids in step.items():
                outcomes += self._requeues[destination].some(ids, now)
        return outcomes

    def dismiss(self, wanted: Wanted, now: float, wait: Wait = time.sleep) -> int:
        """Dismiss those that can be. Returns how many messages that were."""
        dismissed = 0
        steps = self._steps(wanted, IS_DISMISSIBLE)
        for step in in_batches(lambda: next(steps, {}), wait):
            for destination, ids in step.items():
                dismissed += self._requeues[destination].dismiss(ids, now)
        return dismissed

    def _count(self, wanted: Wanted, *conditions: ColumnElement[bool]) -> Count:
        deadline = time.monotonic() + LONGEST_COUNT
        count = 0
        for found in self._ids(wanted, *conditions):
            count += len(found)
            if time.monotonic() > deadline:
                return count, False
        return count, True

    def _steps(
        self, wanted: Wanted, condition: ColumnElement[bool]
    ) -> Iterator[dict[str, list[int]]]:
        """Yield some ids at a time, by destination."""
        for found in self._ids(wanted, condition):
            for first in range(0, len(found), STEP):
                step: defaultdict[str, list[int]] = defaultdict(list)
                for id_, destination in found[first : first + STEP]:
                    step[destination].append(id_)
                yield step

    def _ids(
        self, wanted: Wanted, *conditions: ColumnElement[bool]
    ) -> Iterator[Sequence[tuple[int, str]]]:
        if wanted.state != "dismissed" and wanted.message_ids is None:
            conditions = (*conditions, events.c.dismissed_at.is_(None))
        return self._search.ids(wanted, *conditions)
