"""The values that a search finds: pages of summaries, and whole messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from app.outbox.search_query import State


@dataclass(frozen=True)
class Page:
    """Some messages, newest first, and where the next page begins."""

    events: tuple["Summary", ...]
    older: int | None
    """The `before` of the next page; None if there is none."""
    searched_back_to: float | None
    """If the search gave up before the page was full: messages received before this time (seconds
    since the epoch) were not searched."""


@dataclass(frozen=True)
class Event:
    """All that is kept of one message. Times are in seconds since the epoch."""

    id: int
    destination: str
    message_id: str
    account: str
    state: State
    collection: str | None
    email: str | None
    received_at: float
    due_at: float
    settled_at: float | None
    tries: int
    lease: str | None
    error: str | None
    reason: str | None
    """The error in a form that those with the same trouble share."""
    dismissed_at: float | None
    payload: str | None
    raw: bytes
    history: str | None
    """Failed attempts; `read_history` reads it."""


@dataclass(frozen=True)
class Summary:
    """What a list shows of a message. It has neither body nor payload, which are large."""

    id: int
    destination: str
    message_id: str
    account: str
    state: State
    collection: str | None
    email: str | None
    received_at: float
    due_at: float
    settled_at: float | None
    tries: int
    lease: str | None
    error: str | None
    reason: str | None
    dismissed_at: float | None
    user_id: str | None
    title: str
    words: str
    """What a search for words looks at."""


class Description(NamedTuple):
    """What a payload says of itself."""

    user_id: str | None = None
    title: str = ""
    """What it is about, such as an email's subject."""
    happened_at: float | None = None
    """When it happened, in seconds since the epoch, if the payload says so."""
    words: str = ""
    """What a search for words looks at: ids and the values of the call, a line each."""


def values_in(value: Any) -> Iterator[str]:
    """Each text and number within a JSON value, as text. It may be nested to any depth."""
    left = [value]
    while left:
        match left.pop():
            case dict() as fields:
                left += fields.values()
            case list() as items:
                left += items
            case str() | int() | float() as text:
                yield str(text)
