"""What came, went and failed is counted by the minute, once for each event."""

import pytest
from sqlalchemy import Engine

from app.config.schema import LEAST_DAYS
from app.outbox.messages import Attempt, Message, Released
from app.outbox.pruning import DAY, Pruning
from app.outbox.store import Store
from app.outbox.traffic import WAYS, Minute, read_traffic
from tests.support.builders import PAYLOAD, claim, mark_dead, mark_sent, message, reschedule

NOON = 1_800_000_000.0 // 3600 * 3600
OPENED = "Email Opened"


def came(name: str, at: float = NOON, collection: str | None = OPENED) -> Message:
    payload = None if collection is None else PAYLOAD
    return message(name, payload=payload, received_at=at, collection=collection)


def minute(at: float, collection: str = OPENED, **counts: int) -> Minute:
    nothing = dict.fromkeys(WAYS, 0)
    return Minute(int(at), collection, **{**nothing, **counts})


def minutes(engine: Engine) -> list[Minute]:
    return read_traffic(engine, "segment", NOON - 3600)


def test_each_event_is_counted_once_in_the_minute_it_came(store: Store) -> None:
    store.put([came("a"), came("b", NOON + 59.9), came("c", NOON + 60), came("a")])
    store.put([came("a", NOON + 120), came("d")])
    assert minutes(store.engine) == [
        minute(NOON, received=3),
        minute(NOON + 60, received=1),
    ]


def test_collections_are_counted_apart(store: Store) -> None:
    store.put([came("a"), came("b", collection="Email Bounced"), came("c", collection=None)])
    assert [(minute.collection, minute.received) for minute in minutes(store.engine)] == [
        ("", 1),
        ("Email Bounced", 1),
        (OPENED, 1),
    ]


def test_what_is_sent_counts_in_its_minute_if_it_was_ours(
    store: Store,
) -> None:
    store.put([came("a"), came("b")])
    lease = store.claim(["4417"], NOON, NOON + 30, 100, 1_000)
    assert mark_sent(store, lease, NOON + 200) == 2
    assert mark_sent(store, lease, NOON + 300) == 0
    assert minutes(store.engine)[1:] == [minute(NOON + 180, sent=2)]


def test_what_is_taken_after_a_failure_counts_as_retried_too(store: Store) -> None:
    store.put([came("a"), came("b"), came("c")])
    first, *others = claim(store, now=NOON).messages
    lease = claim(store, now=NOON + 30)
    reschedule(store, lease.only([first]), {first.id: NOON + 35}, Attempt(NOON, "HTTP 500"))
    mark_sent(store, lease.only(others), NOON + 30)
    again = claim(store, now=NOON + 60)
    assert mark_sent(store, again, NOON + 60) == 1
    assert minutes(store.engine) == [
        minute(NOON, received=3, sent=2),
        minute(NOON + 60, sent=1, retried=1),
    ]


def test_retried_ones_are_counted_if_some_of_the_lease_are_lost(store: Store) -> None:
    store.put([came("a"), came("b")])
    lease = claim(store, now=NOON)
    reschedule(store, lease, {one.id: NOON for one in lease.messages}, Attempt(NOON, "HTTP 500"))
    late = claim(store, now=NOON)
    claim(store, now=NOON + 30, most_events=1)  # another process has one of them by now
    assert mark_sent(store, late, NOON + 60) == 1
    assert minutes(store.engine)[1:] == [minute(NOON + 60, sent=1, retried=1)]


def test_what_is_given_up_counts_as_failed_if_it_was_ours(store: Store) -> None:
    store.put([came("a"), came("b"), came("c", collection="Email Bounced")])
    lease = claim(store, now=NOON)
    attempt = Attempt(NOON + 60, "HTTP 400")
    assert mark_dead(store, lease, attempt) == 3
    assert mark_dead(store, lease, attempt) == 0
    assert minutes(store.engine)[2:] == [
        minute(NOON + 60, collection="Email Bounced", failed=1),
        minute(NOON + 60, failed=2),
    ]


def test_what_is_rescheduled_or_released_counts_as_nothing(store: Store) -> None:
    store.put([came("a")])
    lease = claim(store, now=NOON)
    store.settle(lease, Released(NOON, "HTTP 401"))
    lease = claim(store, now=NOON)
    reschedule(store, lease, {lease.messages[0].id: NOON}, Attempt(NOON, "HTTP 500"))
    assert minutes(store.engine) == [minute(NOON, received=1)]


@pytest.mark.parametrize(("since", "count"), [(0, 3), (59, 3), (60, 2), (121, 1), (180, 0)])
def test_the_minutes_since_a_time_are_read(store: Store, since: float, count: int) -> None:
    store.put([came("a"), came("b", NOON + 60), came("c", NOON + 120)])
    assert len(read_traffic(store.engine, "segment", NOON + since)) == count


def test_a_minute_goes_with_the_events_that_were_sent_in_it(store: Store) -> None:
    store.put([came("a"), came("b", NOON + DAY)])
    Pruning(store.engine, 7, 30, LEAST_DAYS).step(NOON + 7.5 * DAY)
    assert [minute.minute for minute in minutes(store.engine)] == [NOON + DAY]
