"""Find and count the events that the filters of the list ask for."""

from typing import Any

from app.bridge import Bridge
from app.formatting import read_time
from app.inspector.filters import LAST, SHORTEST_PREFIX, Filters, find_issue
from app.outbox.search import Counts, Page, Wanted

ROWS = 50
"""Events on a page."""

NOTHING = Page((), None, None)


def find_page(
    bridge: Bridge, filters: Filters, now: float, before: int | None, limit: int = ROWS
) -> Page:
    """The newest events that match, or those older than the one with the id `before`."""
    if filters.errors:
        return NOTHING
    if filters.q and "@" not in filters.q:
        named = bridge.search.named(filters.q, filters.to or None)
        if named:
            return Page(named, None, None)
    pages = [bridge.search.page(each, limit, before) for each in to_wanted(bridge, filters, now)]
    return pages[0] if len(pages) == 1 else _merge(pages)


def count(bridge: Bridge, filters: Filters, now: float) -> Counts:
    """How many events match in each state, whatever the state asked for."""
    first, *others = [bridge.search.counts(each) for each in to_wanted(bridge, filters, now)]
    for other in others:
        first |= other
    return first


def _merge(pages: list[Page]) -> Page:
    """Merge the pages of several searches, back to where all of them have searched."""
    older = max((page.older for page in pages if page.older is not None), default=None)
    by_id = {event.id: event for page in pages for event in page.events}
    events = tuple(by_id[id_] for id_ in sorted(by_id, reverse=True) if id_ >= (older or 0))
    back_to = [page.searched_back_to for page in pages if page.searched_back_to is not None]
    return Page(events, older, max(back_to, default=None))


def to_wanted(bridge: Bridge, filters: Filters, now: float) -> list[Wanted]:
    """What to search for. A term that is no address may begin one, or be anywhere in a call."""
    last = LAST.get(filters.last)
    common: dict[str, Any] = {
        "destination": filters.to or None,
        "state": filters.state or None,
        "collection": filters.collection or None,
        "account": filters.account or None,
        "since": now - last[1] if last else read_time(filters.since),
        "until": read_time(filters.until),
    }
    if filters.issue and (issue := find_issue(bridge, filters.issue)):
        common |= {
            "destination": issue.destination,
            "state": issue.state,
            "reason": issue.reason,
        }
    q = filters.q
    if not q:
        return [Wanted(**common)]
    match filters.kind:
        case "id":
            return [Wanted(**common, id_prefix=q)]
        case "domain":
            return [Wanted(**common, email_part=q)]
        case "address" if bridge.search.has_email(q):
            return [Wanted(**common, email=q)]
        case "address":
            return [Wanted(**common, email_prefix=q)]
        case _ if len(q) < SHORTEST_PREFIX or any(map(str.isspace, q)):
            return [Wanted(**common, words=q)]
        case _:
            return [Wanted(**common, email_prefix=q), Wanted(**common, words=q)]
