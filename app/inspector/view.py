"""A view of the list of events: what a URL's query asks for, and the events that match."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from app.bridge import Bridge
from app.direction import Direction
from app.inspector.chart import Per
from app.inspector.display import Show, text_formatter
from app.inspector.filters import STATES, Filters, find_page, name_of, read_filters
from app.inspector.limits import HEAVY
from app.inspector.looks import LOOKS
from app.outbox.search import Page
from app.outbox.traffic import last_received

MAY_EXPIRE = ("unidentified", "expired")
"""States of messages that wait for an address, and of those that waited for too long."""


@dataclass(frozen=True)
class View:
    """The values that the templates of the list need."""

    filters: Filters
    errors: list[str]
    per: Per
    before: int | None
    reveal: bool
    page: Page
    now: float
    directions: Sequence[Direction]
    """Those of the bridge."""

    @property
    def shown(self) -> list[Direction]:
        """The directions that the filters let through."""
        return [each for each in self.directions if self.filters.to in ("", each.destination.name)]

    @property
    def has_chart(self) -> bool:
        """Whether the chart is shown, which counts all events of the directions shown."""
        return self.before is None and not self.filters.query.keys() - {"to"}

    @property
    def has_two(self) -> bool:
        """Whether events say in which direction they go."""
        return len(self.directions) > 1

    @property
    def states(self) -> list[str]:
        """The states that events of these directions may have."""
        may_expire = any(direction.may_expire for direction in self.directions)
        return [state for state in STATES if may_expire or state not in MAY_EXPIRE]

    @property
    def collections(self) -> list[str]:
        """The collections of these directions."""
        return [name for each in self.directions for name in each.collections]

    @property
    def title(self) -> str:
        """What the titles of the events are that are shown."""
        return " or ".join(
            dict.fromkeys(LOOKS[each.destination.name].title for each in self.shown)
        ).capitalize()

    def name_of(self, destination: str) -> str:
        """A destination, as pages name it."""
        return name_of(self.directions, destination)

    @property
    def show(self) -> Show:
        """Format text as this page may show it."""
        return text_formatter(self.reveal)

    @property
    def query(self) -> dict[str, str]:
        """The parameters of this view's URL."""
        return self.filters.query | {
            name: value
            for name, value in (
                ("per", "hour" if self.per == "hour" else ""),
                ("before", "" if self.before is None else str(self.before)),
                ("reveal", "1" if self.reveal else ""),
            )
            if value
        }

    def with_changes(self, **changes: Any) -> dict[str, Any]:
        """Return the parameters with some of them changed. None removes one."""
        return self.query | changes


def read_view(bridge: Bridge, query: Mapping[str, str], now: float) -> View:
    """Search for the events that the query asks for.

    Raises `SQLAlchemyError`, and `ServiceUnavailable` while others search.
    """
    filters, errors = read_filters(query, bridge)
    before = query.get("before", "")
    # ids have 64 bits, and databases refuse longer numbers
    before_id = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    with HEAVY.slot() if filters.is_heavy else nullcontext():
        page = find_page(bridge.search, filters, before_id)
    return View(
        filters=filters,
        errors=errors,
        per="hour" if query.get("per") == "hour" else "minute",
        before=before_id,
        reveal=query.get("reveal") == "1",
        page=page,
        now=now,
        directions=bridge.directions,
    )


def is_first_run(bridge: Bridge) -> bool:
    """Return whether no event is kept, so the set-up guide is shown. Raises `SQLAlchemyError`."""
    return all(
        last_received(bridge.engine, direction.destination.name) is None
        for direction in bridge.directions
    )
