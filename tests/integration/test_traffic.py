"""What came and what went is counted by the minute, once for each event."""

import pytest
from sqlalchemy import Engine

from app.config.schema import LEAST_DAYS
from app.outbox.messages import Message
from app.outbox.pruning import DAY, Pruning
from app.outbox.store import Store
from app.outbox.traffic import Minute, read_traffic
from tests.support.builders import PAYLOAD, mark_sent, message

NOON = 1_800_000_000.0 // 3600 * 3600
OPENED = "Email Opened"


def came(name: str, at: float = NOON, collection: str | None = OPENED) -> Message:
    payload = None if collection is None else PAYLOAD
    return message(name, payload=payload, received_at=at, collection=collection)


def minutes(engine: Engine) -> list[Minute]:
    return read_traffic(engine, "segment", NOON - 3600)


def test_each_event_is_counted_once_in_the_minute_it_came(store: Store) -> None:
    store.put([came("a"), came("b", NOON + 59.9), came("c", NOON + 60), came("a")])
    store.put([came("a", NOON + 120), came("d")])
    assert minutes(store.engine) == [
        Minute(int(NOON), OPENED, received=3, sent=0),
        Minute(int(NOON) + 60, OPENED, received=1, sent=0),
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
    assert minutes(store.engine)[1:] == [Minute(int(NOON) + 180, OPENED, received=0, sent=2)]


@pytest.mark.parametrize(("since", "count"), [(0, 3), (59, 3), (60, 2), (121, 1), (180, 0)])
def test_the_minutes_since_a_time_are_read(store: Store, since: float, count: int) -> None:
    store.put([came("a"), came("b", NOON + 60), came("c", NOON + 120)])
    assert len(read_traffic(store.engine, "segment", NOON + since)) == count


def test_a_minute_goes_with_the_events_that_were_sent_in_it(store: Store) -> None:
    store.put([came("a"), came("b", NOON + DAY)])
    Pruning(store.engine, 7, 30, LEAST_DAYS).step(NOON + 7.5 * DAY)
    assert [minute.minute for minute in minutes(store.engine)] == [NOON + DAY]
