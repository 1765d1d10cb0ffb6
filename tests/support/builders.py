"""Messages, claims, and what is kept, for tests."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, Row, select

from app.database.tables import events, whole
from app.drip_to_segment.description import describe
from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.translate import translate
from app.outbox.messages import Attempt, Failed, Lease, Message, Sent
from app.outbox.search import Search, Searched
from app.outbox.store import Store

TOKEN = "a-token-for-the-tests"
"""Of the webhook, in the `settings` of the tests."""

ACCOUNT = "4417"
PAYLOAD = '{"type":"track"}'
NOW = 1_000_000.0
LATER = NOW + 30
"""When a lease that was claimed now has ended."""
ROOMY = 475_000
"""Bytes that are more than enough."""


class PretendDestination:
    """A destination with Segment's numbers and a key for each account, for tests that have their
    own way of sending."""

    name = SegmentDestination.name
    limits = SegmentDestination.limits
    retry = SegmentDestination.retry
    dedupe_window = SegmentDestination.dedupe_window
    labels = SegmentDestination.labels

    def key_for(self, account: str) -> str | None:
        return f"key-of-{account}"


def translated(body: bytes, received_at: float = 0.0) -> Message:
    """The message that a webhook's body becomes, for bodies that become one."""
    becomes = translate(body, received_at)
    assert isinstance(becomes, Message)
    return becomes


def payload_of(body: bytes, received_at: float = 0.0) -> str:
    """The track call that a webhook's body becomes."""
    payload = translated(body, received_at).payload
    assert payload is not None
    return payload


def message(name: str, **changes: Any) -> Message:
    """A message that came now, of an account; `changes` are fields of `Message`."""
    fields: dict[str, Any] = {
        "account": ACCOUNT,
        "payload": PAYLOAD,
        "raw": name.encode(errors="replace"),
        "received_at": NOW,
    }
    return Message(name, **{**fields, **changes})


def messages(count: int, **changes: Any) -> list[Message]:
    """Received one a second, the last one now."""
    return [message(f"m{n}", received_at=NOW - count + 1 + n, **changes) for n in range(count)]


def claim(store: Store, account: str = ACCOUNT, now: float = NOW, **limits: int) -> Lease:
    """What is due of an account, for 30 seconds; `limits` are `most_events` and `most_bytes`."""
    return store.claim(
        [account], now, now + 30, limits.get("most_events", 100), limits.get("most_bytes", ROOMY)
    )


def mark_sent(store: Store, lease: Lease, at: float) -> int:
    """Settle a lease as taken; how many messages were still its own."""
    return store.settle(lease, Sent(at)).total()


def mark_dead(store: Store, lease: Lease, attempt: Attempt) -> int:
    """Settle a lease as given up; how many messages were still its own."""
    return store.settle(lease, Failed(attempt, {})).total()


def reschedule(store: Store, lease: Lease, due: Mapping[int, float], attempt: Attempt) -> int:
    """Settle a lease as failed, to be tried again; how many messages were still its own."""
    return store.settle(lease, Failed(attempt, due)).total()


def rows(store: Store) -> dict[str, Row[Any]]:
    """All that is kept, by message id, in the order in which it was put."""
    reader = store.engine.execution_options(isolation_level="AUTOCOMMIT")
    with reader.connect() as connection:
        kept = connection.execute(select(whole).order_by(events.c.id))
        return {row.message_id: row for row in kept}


def names(store: Store, lease: Lease) -> list[str]:
    """The message ids of a claim, in its order."""
    by_id = {row.id: name for name, row in rows(store).items()}
    return [by_id[claimed.id] for claimed in lease.messages]


def same_but(row: Row[Any], **changes: Any) -> dict[str, Any]:
    """The row's values, but for the changes."""
    return {**row._mapping, **changes}  # noqa: SLF001 - its public name, underscored for the columns


def search_over(engine: Engine, key_for: Callable[[str], str | None] = lambda _: "key") -> Search:
    """A search over the messages to Segment, as all accounts have a key if not told otherwise."""
    return Search(engine, [Searched("segment", key_for, describe)])


def no_wait(_: float) -> None:
    """Tests are in a hurry."""
