"""Read the kept events that are to be loaded, a batch at a time."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Engine, select

from app.database.engine import reader
from app.database.tables import bodies, events, whole
from app.outbox.loads import HAS_PAYLOAD
from app.warehouse.rows import Row, call_to_rows

PAGE = 500
"""Events of one query: a payload may have 32 kB."""

MOST_EVENTS = 10_000
MOST_BYTES = 16_000_000
"""What a batch has at most. A load's memory grows with it, and its time shrinks."""

CALL_OF = {"segment": bodies.c.payload, "drip": bodies.c.raw}
"""By destination, where the call is in Segment's form: what Segment gets, or what it sent."""


class Kept(NamedTuple):
    """A kept event."""

    id: int
    message_id: str
    received_at: float
    call: str | bytes


@dataclass(frozen=True)
class Batch:
    """Events that are loaded together."""

    events: list[Kept]

    @property
    def last(self) -> int:
        """The id of the last one."""
        return self.events[-1].id

    def rows(self) -> Iterator[Row]:
        """The rows of all of them."""
        for event in self.events:
            call = read_call(event.call)
            if call is not None:
                yield from call_to_rows(call, event.message_id, event.received_at)


def read_call(text: str | bytes) -> dict[str, Any] | None:
    """The call in a payload or a body; None if there is none that is an object."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    try:
        call = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return call if isinstance(call, dict) else None


def read_batch(engine: Engine, destination: str, after: int, upto: int) -> Batch | None:
    """The next events for this destination whose ids are above `after`, up to `upto`; None if
    there are no more."""
    found: list[Kept] = []
    size = 0
    while len(found) < MOST_EVENTS and size < MOST_BYTES:
        page = _read_page(engine, destination, after, upto)
        found += page
        size += sum(len(event.call) for event in page)
        if len(page) < PAGE:
            break
        after = page[-1].id
    return Batch(found) if found else None


def _read_page(engine: Engine, destination: str, after: int, upto: int) -> list[Kept]:
    page = (
        select(events.c.id, events.c.message_id, events.c.received_at, CALL_OF[destination])
        .select_from(whole)
        .where(events.c.id > after, events.c.id <= upto)
        .where(events.c.destination == destination, HAS_PAYLOAD)
        .order_by(events.c.id)
        .limit(PAGE)
    )
    with reader(engine) as connection:
        return [Kept(*row) for row in connection.execute(page)]
