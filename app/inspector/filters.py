"""Filters of the list of events: read from a URL's query, and described in words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import printable, read_time
from app.inspector.searches import HASH_PREFIX, Searches, searches_of
from app.monitoring.stats import Issue
from app.outbox.search import MOST_WORDS
from app.outbox.search_query import CHOICES

STATES = CHOICES

PARAMETERS = ("to", "state", "issue", "collection", "account", "last", "since", "until", "q")
"""The parameters of a URL, which are also the fields of the form."""

LAST: Mapping[str, tuple[str, float]] = {
    "15m": ("Last 15 min", 15 * 60.0),
    "1h": ("Last hour", 3600.0),
    "24h": ("Last 24 h", 24 * 3600.0),
    "7d": ("Last 7 days", 7 * 24 * 3600.0),
}
"""The periods to choose from: name in a URL → words, and seconds."""

SHORTEST_PREFIX = 3
"""Letters by which an address is found. Fewer are the beginning of very many."""

Kind = Literal["id", "address", "domain", "any"]


@dataclass(frozen=True)
class Filters:
    """The filters as they were given. "" means any."""

    to: str = ""
    """A destination."""
    to_name: str = ""
    """Its name for people."""
    state: str = ""
    issue: str = ""
    """The key of an issue."""
    collection: str = ""
    account: str = ""
    last: str = ""
    """A period until now, of `LAST`."""
    since: str = ""
    """In UTC: 2026-11-02 or 2026-11-02 09:30."""
    until: str = ""
    q: str = ""
    """The search term."""
    q_hash: str = ""
    """The hash that stands for `q` in a URL, if it is not there itself."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """What is wrong, by parameter. Nothing is searched for until it is corrected."""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of this view's URL."""
        values = {name: getattr(self, name) for name in PARAMETERS}
        values["q"] = self.q_hash or self.q
        return {name: value for name, value in values.items() if value}

    @property
    def folded(self) -> int:
        """How many filters are set beside the search term and the state, which are always shown."""
        return len(self.query.keys() - {"q", "state", "issue"})

    @property
    def term(self) -> str:
        """The search term, for sentences."""
        return printable(self.q)

    @property
    def kind(self) -> Kind:
        """What the search term is taken for."""
        if re.fullmatch(r"(drip|raw)-[0-9a-f]{4,}", self.q):
            return "id"
        if "@" not in self.q:
            return "any"
        return "domain" if self.q.startswith("@") else "address"

    @property
    def is_heavy(self) -> bool:
        """Whether the search has to look through each call."""
        return bool(self.q) and self.kind == "any"

    @property
    def rule(self) -> str:
        """How the search term is looked for, in words."""
        return {
            "id": "message ids that begin with it",
            "address": "addresses that begin with it",
            "domain": "addresses that contain it",
            "any": "addresses that begin with it, and user ids and values that contain it",
        }[self.kind]

    @property
    def words(self) -> str:
        """The filters in words: `to Drip, of account 4417, from … until …`."""
        last = LAST.get(self.last)
        parts = [
            f"to {self.to_name}" if self.to_name else "",
            self.collection,
            f"account {self.account}" if self.account else "",
            last[0].lower() if last else "",
            f"from {self.since} UTC" if self.since else "",
            f"until {self.until} UTC" if self.until else "",
            f"with “{self.q}”" if self.q else "",
        ]
        return printable(", ".join(part for part in parts if part))


def read_form(form: Mapping[str, str], searches: Searches) -> dict[str, str]:
    """Turn a filled-in form into the parameters of a URL. Raises `SQLAlchemyError`."""
    query: dict[str, Any] = {name: form.get(name, "").strip() for name in PARAMETERS}
    if query["since"] or query["until"]:
        query["last"] = ""
    filters = Filters(**query)
    if filters.q and filters.kind != "id":
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


def read_filters(query: Mapping[str, str], bridge: Bridge) -> Filters:
    """The filters, with an error for each one that is wrong. Raises `SQLAlchemyError`."""
    searches = searches_of(bridge)
    values: dict[str, Any] = {name: query.get(name, "").strip() for name in PARAMETERS}
    filters = Filters(**values, to_name=name_of(bridge.directions, values["to"]))
    if filters.q.startswith(HASH_PREFIX):
        filters = replace(filters, q=searches.find(filters.q) or "", q_hash=filters.q)
    return replace(filters, errors=dict(_errors(filters, bridge)))


def find_issue(bridge: Bridge, key: str) -> Issue | None:
    """The issue with this key, if there is one. Raises `StatsUnavailable`."""
    issues = (issue for each in bridge.directions for issue in each.stats.recent().issues)
    return next((issue for issue in issues if issue.key == key), None)


def _errors(filters: Filters, bridge: Bridge) -> Iterator[tuple[str, str]]:
    collections = {name for direction in bridge.directions for name in direction.collections}
    known = {
        "to": bool(filters.to_name),
        "state": filters.state in STATES,
        "collection": filters.collection in collections,
        "last": filters.last in LAST,
    }
    for name, is_known in known.items():
        if getattr(filters, name) and not is_known:
            yield name, f"There is no “{printable(getattr(filters, name))}” to choose."
    if filters.issue and find_issue(bridge, filters.issue) is None:
        yield "issue", "There is no such issue any more: its events were retried or dismissed."
    yield from _errors_of_text(filters)


def _errors_of_text(filters: Filters) -> Iterator[tuple[str, str]]:
    if filters.q_hash and not filters.q:
        yield "q", "What this link searched for is not known any more: search for it again."
    if len(filters.q) > MOST_WORDS:
        yield "q", f"Too long: {MOST_WORDS} letters can be looked for at most."
    for name, label in (("since", "From"), ("until", "Until")):
        text = getattr(filters, name)
        if text and read_time(text) is None:
            yield name, f"“{label}” is not a date. Example: 2026-11-02 09:30"
