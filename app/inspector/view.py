"""A view of the list of events: what a URL's query asks for, and the events that match."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from app.bridge import Bridge
from app.database.engine import reader
from app.direction import Direction
from app.formatting import join_reasons, read_reasons
from app.inspector.display import Show, text_formatter
from app.inspector.filters import LAST, STATES, Filters, name_of, read_filters
from app.inspector.find import count, find_page
from app.inspector.limits import HEAVY
from app.inspector.tabs import Tab, counts_of_all, tabs, to_text
from app.monitoring.pauses import Pauses, read_pauses
from app.outbox.latest import is_empty, last_received
from app.outbox.search import Counts, Page, Summary
from app.outbox.status import Status, status_of

MAY_EXPIRE = ("unidentified", "expired")
"""States of messages that wait for an address, and of those that waited for too long."""


@dataclass(frozen=True)
class View:
    """The values that the templates of the list need."""

    filters: Filters
    before: int | None
    reveal: bool
    page: Page
    counts: Counts | None
    """How many events match in each state; None if that is not known."""
    pauses: Pauses
    now: float
    directions: Sequence[Direction]
    """Those of the bridge."""
    retention: tuple[float, float]
    """For how many days delivered events are kept, and for how many failed and rejected ones."""
    last_webhook: float | None

    @property
    def shown(self) -> list[Direction]:
        """The directions that the filters let through."""
        return [each for each in self.directions if self.filters.to in ("", each.destination.name)]

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
    def tabs(self) -> list[Tab]:
        """The tabs above the list."""
        return list(tabs(self.counts, self.filters.state, "expired" in self.states))

    @property
    def total(self) -> str:
        """How many events match, in the tab that is chosen."""
        chosen = next((tab for tab in self.tabs if tab.is_chosen), None)
        return chosen.number if chosen else to_text(self.counts)

    @property
    def periods(self) -> Mapping[str, str]:
        """The periods to choose from: name in a URL → words."""
        return {name: words for name, (words, _) in LAST.items()}

    @property
    def actions(self) -> list[tuple[str, str]]:
        """What can be done with all events that the filters show: verbs, and words for buttons.

        Not with what bare words find: that takes too long for one request.
        """
        filters = self.filters
        if not self.page.events or filters.errors or filters.is_heavy:
            return []
        if filters.issue or filters.state in ("dead", "expired", "quarantined"):
            return [("retry", f"Retry {self.total}"), ("dismiss", f"Dismiss {self.total}")]
        return [("retry", f"Retry {self.total} now")] if filters.state == "waiting" else []

    def status(self, event: Summary) -> Status:
        """The status of an event, in a word."""
        is_paused = (event.destination, event.account) in self.pauses
        return status_of(event, self.now, is_paused)

    def reason(self, event: Summary) -> str:
        """Why it has its status, or else what it is about."""
        reasons = join_reasons(read_reasons(event.error))
        return self.show(reasons or event.title)

    @property
    def named_collections(self) -> list[tuple[str, str]]:
        """The collections to choose from, as (value, words)."""
        return [(name, name) for name in self.collections]

    @property
    def destinations(self) -> list[tuple[str, str]]:
        """The destinations to choose from, as (value, words)."""
        both = [each.destination for each in self.directions]
        return [(each.name, each.labels.destination) for each in both]

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
    filters = read_filters(query, bridge)
    before = query.get("before", "")
    # ids have 64 bits, and databases refuse longer numbers
    before_id = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    settings, directions = bridge.settings, bridge.directions
    shown = [each for each in directions if filters.to in ("", each.destination.name)]
    with HEAVY.slot() if filters.is_heavy else nullcontext():
        page = find_page(bridge, filters, now, before_id)
        counts = _count(bridge, filters, shown, now)
    return View(
        filters=filters,
        before=before_id,
        reveal=query.get("reveal") == "1",
        page=page,
        counts=counts,
        pauses=read_pauses(direction.watched for direction in shown),
        now=now,
        directions=directions,
        retention=(settings.sent_retention_days, settings.failed_retention_days),
        last_webhook=_last_webhook(bridge, shown),
    )


def _count(
    bridge: Bridge, filters: Filters, shown: Sequence[Direction], now: float
) -> Counts | None:
    if filters.errors:
        return None
    if filters.query.keys() <= {"to", "state"}:
        return counts_of_all(shown)
    return count(bridge, filters, now)


def _last_webhook(bridge: Bridge, shown: Sequence[Direction]) -> float | None:
    with reader(bridge.engine) as connection:
        times = [last_received(connection, direction.destination.name) for direction in shown]
    return max((at for at in times if at is not None), default=None)


def is_first_run(bridge: Bridge) -> bool:
    """Return whether no event is kept, so the set-up guide is shown. Raises `SQLAlchemyError`."""
    with reader(bridge.engine) as connection:
        return is_empty(connection)
