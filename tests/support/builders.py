"""Messages for tests."""

from collections.abc import Mapping

from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.translate import translate
from app.outbox.messages import Attempt, Failed, Lease, Message, Sent
from app.outbox.store import Store


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
    message = translate(body, received_at)
    assert isinstance(message, Message)
    return message


def payload_of(body: bytes, received_at: float = 0.0) -> str:
    """The track call that a webhook's body becomes."""
    payload = translated(body, received_at).payload
    assert payload is not None
    return payload


def mark_sent(store: Store, lease: Lease, at: float) -> int:
    """Settle a lease as taken; how many messages were still its own."""
    return store.settle(lease, Sent(at)).total()


def mark_dead(store: Store, lease: Lease, attempt: Attempt) -> int:
    """Settle a lease as given up; how many messages were still its own."""
    return store.settle(lease, Failed(attempt, {})).total()


def reschedule(store: Store, lease: Lease, due: Mapping[int, float], attempt: Attempt) -> int:
    """Settle a lease as failed, to be tried again; how many messages were still its own."""
    return store.settle(lease, Failed(attempt, due)).total()
