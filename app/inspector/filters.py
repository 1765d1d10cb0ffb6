"""Filters of the list of events: read from a URL's query, described in words, and searched for."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import printable
from app.inspector.searches import HASH_PREFIX, Searches, searches_of
from app.outbox.search import MOST_WORDS, Page, Search, State, Wanted

STATES: tuple[State, ...] = get_args(State)

PARAMETERS = ("to", "state", "collection", "account", "since", "until", "q")
"""The parameters of a URL, which are also the fields of the form."""

ROWS = 50
"""Events on a page."""


@dataclass(frozen=True)
class Filters:
    """The filters as they were given. "" means any."""

    to: str = ""
    """A destination."""
    to_name: str = ""
    """Its name for people."""
    state: str = ""
    collection: str = ""
    account: str = ""
    since: str = ""
    """In UTC: 2026-11-02 or 2026-11-02T09:30."""
    until: str = ""
    q: str = ""
    """The search term: an address, a message id, a user id, or words of a subject."""
    q_hash: str = ""
    """The hash that stands for `q` in a URL, if it is not there itself."""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of this view's URL."""
        values = {name: getattr(self, name) for name in PARAMETERS}
        values["q"] = self.q_hash or self.q
        return {name: value for name, value in values.items() if value}

    @property
    def is_message_id(self) -> bool:
        """Whether `q` is a message id."""
        return re.fullmatch(r"(drip|raw)-[0-9a-f]*", self.q) is not None

    @property
    def is_heavy(self) -> bool:
        """Whether the search has to look through each call."""
        return bool(self.q) and "@" not in self.q and not self.is_message_id

    @property
    def words(self) -> str:
        """The filters in words: `dead events, of Drip account 4417, received since …`."""
        parts = [f"{self.state or 'all'} events"]
        templates = {
            "to_name": "to {}",
            "collection": "in {}",
            "account": "of Drip account {}",
            "since": "received since {} UTC",
            "until": "received before {} UTC",
            "q": "with “{}”",
        }
        parts += [
            template.format(getattr(self, name))
            for name, template in templates.items()
            if getattr(self, name)
        ]
        return printable(", ".join(parts), keep="\n")


def read_form(form: Mapping[str, str], searches: Searches) -> dict[str, str]:
    """Turn a filled-in form into the parameters of a URL. Raises `SQLAlchemyError`."""
    query = {name: form.get(name, "").strip() for name in PARAMETERS}
    filters = Filters(**query)
    if filters.q and not filters.is_message_id:
        query["q"] = searches.save(filters.q[: MOST_WORDS + 1])
    return {name: value for name, value in query.items() if value}


def name_of(directions: Sequence[Direction], destination: str) -> str:
    """A destination, as pages name it; "" if no direction leads there."""
    return next(
        (
            each.destination.labels.destination
            for each in directions
            if each.destination.name == destination
        ),
        "",
    )


def read_filters(query: Mapping[str, str], bridge: Bridge) -> tuple[Filters, list[str]]:
    """Return the filters, and an error message for each one that is wrong and left out.

    Raises `SQLAlchemyError`.
    """
    searches = searches_of(bridge)
    filters = Filters(**{name: query.get(name, "").strip() for name in PARAMETERS})
    filters = replace(filters, to_name=name_of(bridge.directions, filters.to))
    if filters.q.startswith(HASH_PREFIX):
        filters = replace(filters, q=searches.find(filters.q) or "", q_hash=filters.q)
    errors = dict(_errors(filters, bridge.directions))
    if "q" in errors:
        filters = replace(filters, q_hash="")
    return replace(filters, **dict.fromkeys(errors, "")), list(errors.values())


def _errors(filters: Filters, directions: Sequence[Direction]) -> Iterator[tuple[str, str]]:
    if filters.to and not filters.to_name:
        yield "to", "This bridge sends nothing there."
    if filters.state and filters.state not in STATES:
        yield "state", f"There is no such state. The states are: {', '.join(STATES)}."
    collections = {name for direction in directions for name in direction.collections}
    if filters.collection and filters.collection not in collections:
        yield "collection", "There is no such collection."
    if filters.q_hash and not filters.q:
        yield "q", "What this link searched for is not known any more: search for it again."
    if len(filters.q) > MOST_WORDS:
        yield "q", f"Too long: {MOST_WORDS} letters can be looked for at most."
    for name in ("since", "until"):
        try:
            _to_time(getattr(filters, name))
        except ValueError:
            yield name, f"“{name}” is no time: write 2026-11-02 or 2026-11-02T09:30, in UTC."


def find_page(search: Search, filters: Filters, before: int | None, limit: int = ROWS) -> Page:
    """Return the newest events that match, or those older than the one with the id `before`."""
    if filters.q and "@" not in filters.q:
        named = search.named(filters.q, filters.to or None)
        if named or filters.is_message_id:
            return Page(named, None, None)
    pages = [search.page(wanted, limit, before) for wanted in _to_wanted(filters)]
    return pages[0] if len(pages) == 1 else _merge(pages)


def _merge(pages: list[Page]) -> Page:
    """Merge the pages of several searches, back to where all of them have searched."""
    older = max((page.older for page in pages if page.older is not None), default=None)
    by_id = {event.id: event for page in pages for event in page.events}
    events = tuple(by_id[id_] for id_ in sorted(by_id, reverse=True) if id_ >= (older or 0))
    back_to = [page.searched_back_to for page in pages if page.searched_back_to is not None]
    return Page(events, older, max(back_to, default=None))


def _to_wanted(filters: Filters) -> list[Wanted]:
    """Return what to search for: of a term with no known form, both user ids and subjects."""
    common: dict[str, Any] = {
        "destination": filters.to or None,
        "state": filters.state or None,
        "collection": filters.collection or None,
        "account": filters.account or None,
        "since": _to_time(filters.since),
        "until": _to_time(filters.until),
    }
    if not filters.q:
        return [Wanted(**common)]
    if "@" in filters.q:
        return [Wanted(**common, email=filters.q)]
    return [Wanted(**common, user_id=filters.q), Wanted(**common, title=filters.q)]


def _to_time(text: str) -> float | None:
    """Parse a time, in UTC unless it has an offset. Raises `ValueError`."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
