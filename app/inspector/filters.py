"""Which events a page shows: from a URL's query, into words, and to be looked for."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

from app.drip_to_segment.mapping import COLLECTIONS
from app.formatting import printable
from app.inspector.searches import MARK, Searches
from app.outbox.search import MOST_WORDS, Page, Search, State, Wanted

STATES: tuple[State, ...] = get_args(State)
COLLECTION_NAMES = tuple(dict.fromkeys(COLLECTIONS.values()))

ASKED = ("state", "collection", "account", "since", "until", "q")
"""The parameters of a URL, and the fields of the form."""

ROWS = 50


@dataclass(frozen=True)
class Filters:
    """As they were asked for; "" is any."""

    state: str = ""
    collection: str = ""
    account: str = ""
    since: str = ""
    """In UTC: 2026-11-02 or 2026-11-02T09:30."""
    until: str = ""
    q: str = ""
    """An address, a message id, a user id, or words of a subject: by its shape."""
    mark: str = ""
    """What stands for `q` in a URL, where it is not itself."""

    @property
    def query(self) -> dict[str, str]:
        """The parameters of a URL that leads here."""
        asked = {name: getattr(self, name) for name in ASKED} | {"q": self.mark or self.q}
        return {name: value for name, value in asked.items() if value}

    @property
    def names_one(self) -> bool:
        """Whether `q` is a message id."""
        return re.fullmatch(r"(drip|raw)-[0-9a-f]*", self.q) is not None

    @property
    def is_heavy(self) -> bool:
        """Whether each call has to be looked through."""
        return bool(self.q) and "@" not in self.q and not self.names_one

    @property
    def words(self) -> str:
        """`dead events of account 4417, received since …`."""
        said = [f"{self.state or 'all'} events"]
        named = {
            "collection": "in {}",
            "account": "of Drip account {}",
            "since": "received since {} UTC",
            "until": "received before {} UTC",
            "q": "with “{}”",
        }
        said += [
            words.format(getattr(self, name))
            for name, words in named.items()
            if getattr(self, name)
        ]
        return printable(", ".join(said), keep="\n")


def read_form(form: Mapping[str, str], searches: Searches) -> dict[str, str]:
    """What somebody filled in → the parameters of a URL. Raises `SQLAlchemyError`."""
    query = {name: form.get(name, "").strip() for name in ASKED}
    filters = Filters(**query)
    if filters.q and not filters.names_one:
        query["q"] = searches.keep(filters.q[: MOST_WORDS + 1])
    return {name: value for name, value in query.items() if value}


def read_filters(asked: Mapping[str, str], searches: Searches) -> tuple[Filters, list[str]]:
    """The filters, and a sentence for each that is wrong and left out. Raises `SQLAlchemyError`."""
    filters = Filters(**{name: asked.get(name, "").strip() for name in ASKED})
    if filters.q.startswith(MARK):
        filters = replace(filters, q=searches.words(filters.q) or "", mark=filters.q)
    wrong = dict(_wrong(filters))
    if "q" in wrong:
        filters = replace(filters, mark="")
    return replace(filters, **dict.fromkeys(wrong, "")), list(wrong.values())


def _wrong(filters: Filters) -> Iterator[tuple[str, str]]:
    if filters.state and filters.state not in STATES:
        yield "state", f"There is no such state. The states are: {', '.join(STATES)}."
    if filters.collection and filters.collection not in COLLECTION_NAMES:
        yield "collection", "There is no such collection."
    if filters.mark and not filters.q:
        yield "q", "What this link searched for is not known any more: search for it again."
    if len(filters.q) > MOST_WORDS:
        yield "q", f"Too long: {MOST_WORDS} letters can be looked for at most."
    for name in ("since", "until"):
        try:
            _to_time(getattr(filters, name))
        except ValueError:
            yield name, f"“{name}” is no time: write 2026-11-02 or 2026-11-02T09:30, in UTC."


def find_page(search: Search, filters: Filters, before: int | None, most: int = ROWS) -> Page:
    """The newest events that fit, or those older than the one with the id `before`."""
    if filters.names_one:
        return Page(search.named(filters.q), None, None)
    pages = [search.page(wanted, most, before) for wanted in _to_wanted(filters)]
    return pages[0] if len(pages) == 1 else _merged(pages)


def _merged(pages: list[Page]) -> Page:
    """One page of several searches, down to where all of them have looked."""
    older = max((page.older for page in pages if page.older is not None), default=None)
    found = {event.id: event for page in pages for event in page.events}
    events = tuple(found[id_] for id_ in sorted(found, reverse=True) if id_ >= (older or 0))
    back_to = [page.searched_back_to for page in pages if page.searched_back_to is not None]
    return Page(events, older, max(back_to, default=None))


def _to_wanted(filters: Filters) -> list[Wanted]:
    """A user id may look like anything, so it is looked for beside the words of a subject."""
    known: dict[str, Any] = {
        "state": filters.state or None,
        "collection": filters.collection or None,
        "account": filters.account or None,
        "since": _to_time(filters.since),
        "until": _to_time(filters.until),
    }
    if not filters.q:
        return [Wanted(**known)]
    if "@" in filters.q:
        return [Wanted(**known, email=filters.q)]
    return [Wanted(**known, user_id=filters.q), Wanted(**known, subject=filters.q)]


def _to_time(text: str) -> float | None:
    """Raises `ValueError`."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
