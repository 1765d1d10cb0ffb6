"""What happens next, in a sentence."""

from typing import Any

import pytest

from app.drip_to_segment.destination import SegmentDestination
from app.inspector.status import what_next
from app.outbox.messages import Attempt, attempt_to_line
from app.outbox.search import Event

NOW = 1_762_076_000.0
"""2025-11-02T09:33:20Z."""

DAY = 86_400.0


def event(state: Any, **kwargs: Any) -> Event:
    told: dict[str, Any] = {
        "id": 1,
        "destination": "segment",
        "message_id": "drip-1",
        "account": "4417",
        "state": state,
        "collection": "Email Opened",
        "email": None,
        "received_at": NOW - 60,
        "due_at": NOW - 60,
        "settled_at": None,
        "tries": 0,
        "lease": None,
        "error": None,
        "payload": "{}",
        "raw": b"",
        "history": None,
    }
    return Event(**{**told, **kwargs})


def sentence(event: Event, now: float, pause: str | None) -> str:
    return what_next(event, now, pause, SegmentDestination("https://api.segment.io", "key", {}))


def test_an_event_that_is_due_goes_out_next() -> None:
    assert sentence(event("pending"), NOW, None).startswith("Due now")
    lapsed = event("pending", lease="x", due_at=NOW - 1)
    assert sentence(lapsed, NOW, None).startswith("Due now")


def test_an_event_under_a_lease_is_being_sent() -> None:
    said = sentence(event("pending", lease="x", due_at=NOW + 30), NOW, "HTTP 401")
    assert said.startswith("Being sent now.")
    assert said.endswith("09:33:50 UTC (in 30 s).")


def test_a_failed_event_shows_when_why_and_how_long() -> None:
    history = "".join(
        attempt_to_line(Attempt(NOW, *told)) for told in [("HTTP 500", ""), ("HTTP 503", "ana@x.y")]
    )
    failed = event("pending", due_at=NOW + 250, tries=2, history=history)
    assert sentence(failed, NOW, None) == (
        "Tries again at 09:37:30 UTC (in 4 min), after 2 tries that failed (HTTP 503). "
        "Given up after 2025-11-05 09:32:20 UTC, if Segment has not taken it by then."
    )


@pytest.mark.parametrize(
    ("tries", "more"), [(1, "7 more times"), (7, "1 more time"), (9, "1 more")]
)
def test_an_old_event_has_its_fewest_tries(tries: int, more: str) -> None:
    old = event("pending", due_at=NOW + 5, tries=tries, received_at=NOW - 4 * DAY)
    assert f"Given up if it fails {more}" in sentence(old, NOW, None)


def test_an_event_of_a_paused_key_waits_for_a_person() -> None:
    said = sentence(event("pending", due_at=NOW + 5), NOW, "HTTP 401: check SEGMENT_WRITE_KEY")
    assert "refused" in said
    assert "(HTTP 401: check SEGMENT_WRITE_KEY)" in said


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (event("held"), "Held: waits for a write key for Drip account 4417."),
        (event("held", account=""), "for events without an account"),
        (event("sent", settled_at=NOW - 5), "Sent at 09:33:15 UTC (5 s ago): Segment took it."),
        (
            event(
                "dead",
                settled_at=NOW,
                tries=1,
                history=attempt_to_line(Attempt(NOW, "HTTP 400", "words")),
            ),
            "Given up at 09:33:20 UTC (now) after 1 try (HTTP 400). It will not be tried again",
        ),
        (
            event(
                "quarantined", settled_at=NOW - 3 * DAY, error='{"data.subscriber": ["Missing."]}'
            ),
            "(3 days ago), because it could not be read: data.subscriber: Missing. Nothing is sent",
        ),
        (event("erased", settled_at=NOW - 7_200), "Erased at 07:33:20 UTC (2 h ago)."),
    ],
)
def test_the_other_states(told: Event, words: str) -> None:
    assert words in sentence(told, NOW, None)
