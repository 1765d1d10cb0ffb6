"""One view of the stream: what a URL's query asks for, and the events that answer it."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from app.bridge import Bridge
from app.inspector.at_once import HEAVY
from app.inspector.chart import Per
from app.inspector.display import Show, shower
from app.inspector.filters import COLLECTION_NAMES, STATES, Filters, find_page, read_filters
from app.inspector.searches import searches_of
from app.outbox.search import Page, Search
from app.outbox.traffic import last_received


@dataclass(frozen=True)
class View:
    """What the templates of the stream need."""

    filters: Filters
    faults: list[str]
    per: Per
    before: int | None
    reveal: bool
    page: Page
    now: float

    states = STATES
    collections = COLLECTION_NAMES

    @property
    def show(self) -> Show:
        """Text as this page may show it."""
        return shower(self.reveal)

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

    def but(self, **changes: Any) -> dict[str, Any]:
        """The same with some parameters changed; None leaves one out."""
        return self.query | changes


def read_view(bridge: Bridge, asked: Mapping[str, str], now: float) -> View:
    """Look for the events that the query asks for. Raises `SQLAlchemyError`, and
    `ServiceUnavailable` while others search."""
    filters, faults = read_filters(asked, searches_of(bridge))
    before = asked.get("before", "")
    # ids are 64 bits; a longer number would be refused by the databases
    start = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    with HEAVY.place() if filters.is_heavy else nullcontext():
        page = find_page(search_of(bridge), filters, start)
    return View(
        filters=filters,
        faults=faults,
        per="hour" if asked.get("per") == "hour" else "minute",
        before=start,
        reveal=asked.get("reveal") == "1",
        page=page,
        now=now,
    )


def search_of(bridge: Bridge) -> Search:
    """A search through what the bridge keeps."""
    return Search(bridge.store.engine, bridge.segment.name, bridge.segment.key_for)


def first_run(bridge: Bridge) -> bool:
    """Whether nothing is kept: the page is the set-up guide. Raises `SQLAlchemyError`."""
    return last_received(bridge.store.engine, bridge.segment.name) is None
