"""What became of an event, in a word and in a sentence."""

import pytest

from app.drip_to_segment.destination import SegmentDestination
from app.monitoring.statement import statement
from app.outbox.messages import Attempt, attempt_to_line
from app.outbox.search import Event
from app.outbox.status import status_of
from tests.support.kept_events import NOW, event

DAY = 86_400.0


def sentence(event: Event, now: float = NOW, pause: str | None = None) -> str:
    return statement(event, now, pause, SegmentDestination("https://api.segment.io", "key", {}))


def history(*attempts: tuple[str, str]) -> str:
    return "".join(attempt_to_line(Attempt(NOW, *attempt)) for attempt in attempts)


def test_an_event_that_is_due_is_queued() -> None:
    assert sentence(event("pending")).startswith("Queued. It goes out with the next batch")
    lapsed = event("pending", lease="x", due_at=NOW - 1)
    assert sentence(lapsed).startswith("Queued.")


def test_an_event_that_waits_for_a_limit_says_until_when_and_why() -> None:
    limited = event("pending", due_at=NOW + 700, error="HTTP 429: no more requests this hour")
    assert sentence(limited) == (
        "Queued until 09:45:00 UTC (in 11 min). Last answer: HTTP 429: no more requests this hour."
    )


def test_an_event_under_a_lease_is_being_sent() -> None:
    said = sentence(event("pending", lease="x", due_at=NOW + 30), pause="HTTP 401")
    assert said == "Sending. Without an answer it is sent again at 09:33:50 UTC (in 30 s)."


def test_a_failed_event_says_when_it_is_retried_why_and_until_when() -> None:
    words = history(("HTTP 500", ""), ("HTTP 503", "ana@x.y"))
    failed = event("pending", due_at=NOW + 250, tries=2, history=words)
    assert sentence(failed) == (
        "Retrying: attempt 3 at 09:37:30 UTC (in 4 min). Last answer: HTTP 503. "
        "Retried until 2025-11-05 09:32:20 UTC."
    )
    assert sentence(failed, NOW + 251).startswith("Retrying: attempt 3 is due. Last answer")


@pytest.mark.parametrize(
    ("tries", "more"), [(1, "7 more attempts"), (7, "1 more attempt"), (9, "1 more attempt")]
)
def test_an_old_event_has_its_fewest_tries(tries: int, more: str) -> None:
    old = event("pending", due_at=NOW + 5, tries=tries, received_at=NOW - 4 * DAY)
    assert sentence(old).endswith(f"It fails after {more}.")


@pytest.mark.parametrize(
    ("pause", "words"),
    [
        (
            "HTTP 401: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS",
            (
                "Paused: Segment refused the write key of account 4417 (HTTP 401). "
                "Tried again every minute. Check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS."
            ),
        ),
        (
            "no answer (ConnectionError): check SEGMENT_HOST.",
            (
                "Paused: Segment does not take events of account 4417 "
                "(no answer (ConnectionError)). Tried again every minute. Check SEGMENT_HOST."
            ),
        ),
    ],
)
def test_a_paused_event_says_why_and_what_to_check_once(pause: str, words: str) -> None:
    assert sentence(event("pending", due_at=NOW + 5), pause=pause) == words


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            event("held"),
            (
                "Held: no write key of account 4417. Set SEGMENT_WRITE_KEY, or the account's own "
                "in SEGMENT_WRITE_KEYS, and restart the bridge."
            ),
        ),
        (
            event("sent", settled_at=NOW - 5, received_at=NOW - 5.05, tries=0),
            "Done 09:33:15 UTC (0.05 s after receipt): nothing of it had to be sent.",
        ),
        (
            event("sent", settled_at=NOW - 5, received_at=NOW - 5.05, tries=1),
            (
                "Delivered 09:33:15 UTC (0.05 s after receipt): Segment answered 200. "
                "Not in Segment? A 200 does not mean accepted: look up the "
                "messageId in the source's Debugger."
            ),
        ),
        (
            event("dead", settled_at=NOW, tries=1, history=history(("HTTP 400", "words"))),
            "Failed: Segment answered HTTP 400. Not retried automatically.",
        ),
        (
            event(
                "dead",
                settled_at=NOW,
                received_at=NOW - 3 * DAY,
                tries=8,
                history=history(("HTTP 500", "")),
            ),
            "Failed: no success in 72 h. Last answer: HTTP 500. Not retried any more.",
        ),
        (
            event("quarantined", settled_at=NOW, error='{"data.subscriber": ["Missing."]}'),
            "Rejected: this webhook could not be read, so nothing is sent.",
        ),
        (
            event("expired", settled_at=NOW),
            (
                "Expired 09:33:20 UTC: no email address became known for this person in time. "
                "Not retried automatically."
            ),
        ),
        (
            event("erased", settled_at=NOW - 7_200),
            "Deleted 07:33:20 UTC. Only its id is kept, so that a repeat does not bring it back.",
        ),
    ],
)
def test_the_other_states(told: Event, words: str) -> None:
    assert sentence(told) == words


def test_an_event_without_an_address_says_when_it_expires() -> None:
    assert "it expires at 09:34:20 UTC (in 1 min)" in sentence(
        event("unidentified", due_at=NOW + 60)
    )


@pytest.mark.parametrize(
    ("told", "word"),
    [
        (event("pending"), "Queued"),
        (event("pending", lease="x", due_at=NOW + 5), "Sending"),
        (event("pending", tries=6, due_at=NOW + 5), "Retrying"),
        (event("held"), "Held"),
        (event("unidentified"), "Held"),
        (event("sent", tries=1), "Delivered"),
        (event("dead"), "Failed"),
        (event("quarantined"), "Rejected"),
        (event("expired"), "Expired"),
        (event("erased"), "Deleted"),
    ],
)
def test_each_state_has_a_word(told: Event, word: str) -> None:
    assert status_of(told, NOW).word == word
    assert sentence(told).startswith(word)


def test_a_pause_is_a_status_of_what_waits_and_is_not_being_sent() -> None:
    assert status_of(event("pending", tries=1), NOW, is_paused=True).word == "Paused"
    assert status_of(event("sent"), NOW, is_paused=True).word == "Delivered"
