"""A view of the list of events: what a URL's query asks for, and the events that match."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from app.bridge import Bridge
from app.inspector.chart import Per
from app.inspector.display import Show, text_formatter
from app.inspector.filters import (
    COLLECTION_NAMES,
    STATES,
    Filters,
    find_page,
    read_filters,
    searches_of,
)
from app.inspector.limits import HEAVY
from app.outbox.search import Page
from app.outbox.traffic import last_received


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

    states = STATES
    collections = COLLECTION_NAMES

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
    filters, errors = read_filters(query, searches_of(bridge))
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
    )


def is_first_run(bridge: Bridge) -> bool:
    """Return whether no event is kept, so the set-up guide is shown. Raises `SQLAlchemyError`."""
    return last_received(bridge.engine, bridge.drip_to_segment.destination.name) is None
