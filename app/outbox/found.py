"""The values that a search finds: pages of summaries, and whole messages."""

from dataclasses import dataclass
from typing import NamedTuple

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
    tries: int
    user_id: str | None
    title: str


class Description(NamedTuple):
    """What a payload says of itself, for lists."""

    user_id: str | None = None
    title: str = ""
    """What it is about, such as an email's subject."""
