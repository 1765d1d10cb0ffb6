"""The timeline of one event."""

from typing import Any

from app.drip_to_segment.destination import LABELS
from app.inspector.timeline import timeline
from app.outbox.messages import Attempt, attempt_to_line
from app.outbox.status import status_of
from tests.support.kept_events import NOW, event

RECEIVED = "Received from Drip, and on disk"


def shown(state: Any, happened_at: float | None = None, **kwargs: Any) -> list[tuple[float, str]]:
    """Each moment of an event that was received at 0, by its time."""
    one = event(state, received_at=NOW, **kwargs)
    return [
        (moment.at - NOW, moment.what)
        for moment in timeline(one, happened_at, status_of(one, NOW), LABELS)
    ]


def attempts(*reasons: str) -> str:
    return "".join(
        attempt_to_line(Attempt(NOW + place, reason, "words"))
        for place, reason in enumerate(reasons, start=1)
    )


def test_an_alias_is_done_without_an_attempt() -> None:
    assert shown("sent", settled_at=NOW + 1)[-1] == (1, "Nothing had to be sent")


def test_a_delivered_event_begins_when_it_happened() -> None:
    assert shown("sent", NOW - 39, settled_at=NOW + 1, tries=1) == [
        (-39, "Happened"),
        (0, RECEIVED),
        (1, "Attempt 1: delivered"),
    ]


def test_attempts_are_counted_anew_after_a_retry_by_hand() -> None:
    history = attempts("HTTP 500", "HTTP 400", "requeued", "HTTP 503")
    assert shown("pending", history=history, tries=1, due_at=NOW + 9) == [
        (0, RECEIVED),
        (1, "Attempt 1: HTTP 500"),
        (2, "Attempt 2: HTTP 400"),
        (3, "Retried by hand"),
        (4, "Attempt 1: HTTP 503"),
        (9, "Attempt 2"),
    ]


def test_a_failed_event_ends_with_its_failure() -> None:
    history = attempts("HTTP 400")
    assert shown("dead", history=history, settled_at=NOW + 1)[-2:] == [
        (1, "Attempt 1: HTTP 400"),
        (1, "Failed"),
    ]


def test_an_event_without_an_address_ends_with_its_expiry() -> None:
    assert shown("unidentified", due_at=NOW + 60)[-1] == (
        60,
        "Expires, if no address is known by then",
    )


def test_each_moment_says_how_long_after_the_one_before_it_came() -> None:
    one = event("sent", received_at=NOW, settled_at=NOW + 2, tries=1)
    moments = timeline(one, NOW + 60, status_of(one, NOW), LABELS)
    assert [moment.after for moment in moments] == [None, None, 2]  # a sender's clock may be ahead
