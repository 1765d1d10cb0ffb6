"""The tabs of the list of events: one for each status, with how many events have it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from app.direction import Direction
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.search import Counts

STATES: Mapping[str, tuple[str, ...]] = {
    "": (),
    "waiting": ("pending", "held", "unidentified"),
    "sent": ("sent",),
    "dead": ("dead",),
    "quarantined": ("quarantined",),
    "expired": ("expired",),
    "dismissed": ("dismissed",),
    "erased": ("erased",),
}
"""The filter by which a tab shows its events → the states that they have."""

WORDS = ("All", "Waiting", "Delivered", "Failed", "Rejected", "Expired", "Dismissed", "Deleted")


class Tab(NamedTuple):
    """One tab."""

    state: str
    """The filter by which it shows its events; "" for all."""
    word: str
    number: str
    """How many events there are, such as "1,204" or, if there are more, "12+"; "" if unknown."""
    is_chosen: bool


def tabs(counts: Counts | None, state: str, may_expire: bool) -> Iterator[Tab]:
    """The tabs, from left to right. `counts` is None if they are not known."""
    for (name, states), word in zip(STATES.items(), WORDS, strict=True):
        if name != "expired" or may_expire:
            yield Tab(name, word, to_text(counts, states), state in (name, *states))


def to_text(counts: Counts | None, states: Iterable[str] = ()) -> str:
    """How many events have one of these states, or any if there are none."""
    if counts is None:
        return ""
    names = [*states] or [*counts.states]
    number = sum(counts.states.get(name, 0) for name in names)
    if counts.is_whole:
        return f"{number:,}"
    return f"{number:,}+" if number else ""


def counts_of_all(directions: Iterable[Direction]) -> Counts | None:
    """The counts of all events of these directions, as of the latest stats."""
    counts = Counts({})
    try:
        for direction in directions:
            states = direction.stats.latest().states
            names = {*counts.states, *states}
            counts = Counts({one: counts.states.get(one, 0) + states.get(one, 0) for one in names})
    except StatsUnavailable:
        return None
    return counts
