"""Count the messages that match a search, by state."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Engine, case, func, select

from app.database.engine import reader
from app.database.tables import bodies, events
from app.outbox.search_query import Wanted
from app.outbox.search_range import RARE, Conditions, has_index, ids_to_search

MOST_COUNTED = 20_000
"""Ids among which matches are counted if no index leads to them."""

MOST_READ = 2_000
"""The same if each payload has to be read."""

WordsOf = Callable[[str, str | None], str]
"""Returns what a search for words looks at, of a destination's payload."""


@dataclass(frozen=True)
class Counts:
    """How many messages match."""

    states: Mapping[str, int]
    """By state: held messages count as pending, and those that were dismissed as "dismissed"."""
    is_whole: bool = True
    """Whether all were counted, not only the newest."""

    def __or__(self, other: "Counts") -> "Counts":
        """The counts of what matches one or the other: at least the larger ones."""
        if not (self.states and other.states):
            states = {**self.states, **other.states}
            return Counts(states, self.is_whole and other.is_whole)
        names = {*self.states, *other.states}
        larger = {each: max(self.states.get(each, 0), other.states.get(each, 0)) for each in names}
        return Counts(larger, is_whole=False)


def count_states(
    engine: Engine, wanted: Wanted, to_conditions: Conditions, words_of: WordsOf
) -> Counts:
    """Count what matches in each state, whatever state is wanted."""
    wanted = replace(wanted, state=None)
    conditions = to_conditions(wanted)
    if has_index(engine, wanted, to_conditions):
        return Counts(_count(engine, conditions))
    if wanted.email_prefix is not None:
        # SQLite would go through all of them by the index, whatever limits the ids
        few = select(events.c.id).where(*to_conditions(Wanted(email_prefix=wanted.email_prefix)))
        return Counts(_count(engine, [*conditions, events.c.id.in_(few.limit(RARE))]), False)
    lowest, highest = ids_to_search(engine, wanted)
    most = MOST_COUNTED if wanted.words is None else MOST_READ
    low = max(lowest, highest + 1 - most)
    conditions.append(events.c.id >= low)
    if wanted.words is None:
        states = _count(engine, conditions)
    else:
        states = _count_words(engine, conditions, wanted, words_of)
    return Counts(states, is_whole=low == lowest)


_STATE = case((events.c.dismissed_at.is_not(None), "dismissed"), else_=events.c.state).label("of")


def _count(engine: Engine, conditions: list[ColumnElement[bool]]) -> Mapping[str, int]:
    grouped = select(_STATE, func.count()).where(*conditions).group_by(_STATE)
    with reader(engine) as connection:
        return dict(connection.execute(grouped).all())


def _count_words(
    engine: Engine, conditions: list[ColumnElement[bool]], wanted: Wanted, words_of: WordsOf
) -> Mapping[str, int]:
    """SQL alone cannot tell a value from a name."""
    likely = (
        select(_STATE, events.c.destination, bodies.c.payload)
        .join_from(events, bodies)
        .where(*conditions)
    )
    with reader(engine) as connection:
        rows = connection.execute(likely).all()
    return Counter(
        state
        for state, destination, payload in rows
        if wanted.matches(words_of(destination, payload))
    )
