"""Claim → send → settle over both engines: each event sent once, whatever fails in between."""

import json

import pytest

from app.delivery import worker as module
from app.delivery.worker import LEASE, DeliveryWorker
from app.drip_to_segment.destination import SegmentDestination
from app.outbox.store import Store
from tests.support.builders import NOW, rows, translated
from tests.support.clock import Clock
from tests.support.delivery import Recorder, delivery_to, keep, names, states, tracked
from tests.support.fake_segment import FakeSegment
from tests.support.logged import Logged

MOST_EVENTS = SegmentDestination.limits.most_messages
MOST_BYTES = SegmentDestination.limits.most_bytes
GIVE_UP_AFTER = SegmentDestination.retry.give_up_after


# what goes out


def test_a_due_event_is_sent_and_settled(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker
) -> None:
    keep(store, "drip-1")
    delivery.drain()

    assert segment.message_ids() == ["drip-1"]
    row = rows(store)["drip-1"]
    assert (row.state, row.settled_at, row.lease, row.tries) == ("sent", NOW, None, 1)
    assert delivery.outcomes == {"sent": 1}


def test_a_sent_event_is_not_sent_again(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    keep(store, "drip-1")
    delivery.drain()
    clock.now += 2 * LEASE
    delivery.drain()
    assert segment.message_ids() == ["drip-1"]


def test_events_are_held_without_a_key_and_sent_with_one(
    store: Store,
    segment: FakeSegment,
    delivery: DeliveryWorker,
    clock: Clock,
    logged: Logged,
) -> None:
    keep(store, "drip-1", account="5150")
    keyless = delivery_to(store, SegmentDestination(segment.url, None, {}), clock)
    keyless.drain()
    keyless.drain()

    assert segment.batches == []
    row = rows(store)["drip-1"]
    assert (row.state, row.tries, row.lease) == ("pending", 0, None)
    assert logged.text.count("events are held: no key is set") == 1
    assert "'account': '5150'" in logged.text

    delivery.drain()
    assert segment.message_ids() == ["drip-1"]


def test_an_event_goes_out_with_its_own_accounts_key_or_not(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    accounts = {"drip-a": "a", "drip-b": "b", "drip-c": "c", "drip-none": ""}
    store.put([tracked(message_id, account) for message_id, account in accounts.items()])
    delivery_to(
        store, SegmentDestination(segment.url, None, {"a": "key-a", "b": "key-b"}), clock
    ).drain()

    sent = {
        (batch.write_key, call["messageId"]) for batch in segment.batches for call in batch.calls
    }
    assert sent == {("key-a", "drip-a"), ("key-b", "drip-b")}
    assert rows(store)["drip-c"].state == rows(store)["drip-none"].state == "pending"


def test_accounts_without_a_key_of_their_own_share_the_default(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    store.put([tracked(f"drip-{account}", account) for account in ("a", "b", "")])
    delivery_to(store, SegmentDestination(segment.url, "default", {"a": "key-a"}), clock).drain()

    sent = {call["messageId"]: batch.write_key for batch in segment.batches for call in batch.calls}
    assert sent == {"drip-a": "key-a", "drip-b": "default", "drip-": "default"}


def test_a_batch_has_at_most_100_events(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker
) -> None:
    keep(store, *names(250))
    delivery.drain()
    assert [len(batch.calls) for batch in segment.batches] == [100, 100, 50]
    assert segment.message_ids() == names(250)


def webhook_of_30_kb(number: int) -> bytes:
    subscriber = {"id": f"s{number}", "email": f"añá{number}@example.com"}
    properties = {"email_subject": "¡Año nuevo, café! 🎉 " * 350, "note": "Grüße " * 850}
    data = {"account_id": "4417", "subscriber": subscriber, "properties": properties}
    return json.dumps({"event": "subscriber.opened_email", "data": data}).encode()


def test_a_body_of_large_events_stays_within_475_000_bytes(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker
) -> None:
    calls = [translated(webhook_of_30_kb(number), NOW) for number in range(40)]
    assert all(29_000 < len(call.payload or "") <= 32_768 for call in calls)
    for call in calls:
        keep(store, call.message_id, payload=call.payload)
    delivery.drain()

    assert all(440_000 < len(batch.body) <= 475_000 for batch in segment.batches[:-1])
    assert len(segment.batches[-1].body) <= 475_000
    assert segment.message_ids() == [call.message_id for call in calls]


def test_the_fullest_batch_stays_within_475_000_bytes(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker
) -> None:
    bare = len(str(tracked("drip-000").payload))
    call = json.loads(str(tracked("drip-000").payload))
    filling = "x" * (MOST_BYTES // 100 - bare - len(', "filling": ""'))
    for message_id in names(100):
        payload = json.dumps({**call, "messageId": message_id, "filling": filling})
        assert len(payload) == MOST_BYTES // 100
        keep(store, message_id, payload=payload)
    delivery.drain()

    [batch] = segment.batches
    assert len(batch.calls) == 100
    assert MOST_BYTES < len(batch.body) <= 475_000


# turns


@pytest.mark.parametrize(
    ("turn", "sizes"), [(0, [100, 1, 100, 100, 100, 100]), (60, [100, 100, 100, 100, 100, 1])]
)
def test_a_backlog_lets_another_key_take_its_turn(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch, turn: float, sizes: list[int]
) -> None:
    monkeypatch.setattr(module, "TURN", turn)
    destination = Recorder()
    keep(store, *names(5 * MOST_EVENTS), account="1")
    keep(store, "drip-other", account="2")

    delivery_to(store, destination, clock).drain()

    assert [len(batch) for batch in destination.batches] == sizes


def test_accounts_with_one_key_share_batches_and_take_turns(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TURN", 0)  # a batch, then who else waits is asked anew
    keep(store, *[f"drip-{n}" for n in range(250)], account="1000")
    for n in range(1001, 1151):
        keep(store, f"drip-{n}", account=str(n))
    delivery.drain()

    batches = [[call["properties"]["account_id"] for call in b.calls] for b in segment.batches]
    assert [len(batch) for batch in batches] == [100, 100, 100, 100]
    assert batches[0] == ["1000"] * 100
    assert batches[1] == [str(n) for n in range(1001, 1101)]
    assert batches[2] == [*(str(n) for n in range(1101, 1151)), *["1000"] * 50]
    assert batches[3] == ["1000"] * 100
    assert states(store) == {"sent": 400}
