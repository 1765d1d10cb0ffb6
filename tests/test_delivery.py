"""Claim → send → settle over both engines: each event sent once, whatever fails in between."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, select, text

from app.database.tables import pauses, whole
from app.delivery import worker as module
from app.delivery.decision import KEY_PAUSE
from app.delivery.worker import LEASE, DeliveryWorker
from app.destination import (
    BatchRejected,
    Destination,
    InvalidKey,
    RetryableError,
    SendError,
    Unreachable,
)
from app.drip_to_segment import destination as segment_module
from app.drip_to_segment.destination import SegmentDestination
from app.logs import configure_logs
from app.outbox.messages import Message
from app.outbox.store import Store
from tests.conftest import Said
from tests.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.builders import PretendDestination, translated

NOW = 1_700_000_000.0
KEY = "wk-7Jx0Qm"

MOST_EVENTS = SegmentDestination.limits.most_messages
MOST_BYTES = SegmentDestination.limits.most_bytes
GIVE_UP_AFTER = SegmentDestination.retry.give_up_after


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Recorder(PretendDestination):
    """A destination that does `behave`, and records the messages of each batch before that."""

    def __init__(self, behave: Callable[[str], None] = lambda _: None) -> None:
        self.behave = behave
        self.batches: list[list[str]] = []

    def key_for(self, account: str) -> str | None:
        return f"key-of-{account}"

    def send(self, key: str, payloads: Sequence[str]) -> None:
        self.batches.append([json.loads(payload)["messageId"] for payload in payloads])
        self.behave(key)


class Crash(BaseException):
    """The process ends here: nothing in the bridge catches it."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def delivery(store: Store, segment: FakeSegment, clock: Clock) -> DeliveryWorker:
    return delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)


def delivery_to(store: Store, destination: Destination, clock: Clock) -> DeliveryWorker:
    return DeliveryWorker(store, destination, clock, chance=lambda: 0.0)


def arrival(message_id: str, account: str = "4417", **changes: Any) -> Message:
    call = {
        "type": "track",
        "event": "Email Opened",
        "messageId": message_id,
        "anonymousId": "ana@example.com",
        "properties": {"account_id": account},
    }
    fields = {"payload": json.dumps(call), "raw": b"{}", "received_at": NOW, **changes}
    return Message(message_id, account, **fields)


def keep(store: Store, *message_ids: str, account: str = "4417", **changes: Any) -> None:
    store.put([arrival(message_id, account, **changes) for message_id in message_ids])


def names(count: int) -> list[str]:
    return [f"drip-{n:03}" for n in range(count)]


def rows(store: Store) -> dict[str, Row[Any]]:
    """All events by message id."""
    with store.engine.connect() as connection:
        return {row.message_id: row for row in connection.execute(select(whole))}


def states(store: Store) -> Counter[str]:
    return Counter(row.state for row in rows(store).values())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def refuse_if(culprit: Callable[[Batch], bool], status: int) -> Callable[[Batch], Reply]:
    body = b'{"code": "invalid", "message": "not to my taste"}'
    return lambda batch: Reply(status, body=body) if culprit(batch) else OK


def holds(message_id: str) -> Callable[[Batch], bool]:
    return lambda batch: message_id in {call["messageId"] for call in batch.calls}


# --- what goes out


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


def test_without_a_key_events_are_held_and_go_out_once_there_is_one(
    store: Store,
    segment: FakeSegment,
    delivery: DeliveryWorker,
    clock: Clock,
    said: Said,
) -> None:
    keep(store, "drip-1", account="5150")
    keyless = delivery_to(store, SegmentDestination(segment.url, None, {}), clock)
    keyless.drain()
    keyless.drain()

    assert segment.batches == []
    row = rows(store)["drip-1"]
    assert (row.state, row.tries, row.lease) == ("pending", 0, None)
    assert said.text.count("events are held: no key is set") == 1
    assert "'account': '5150'" in said.text

    delivery.drain()
    assert segment.message_ids() == ["drip-1"]


def test_an_event_goes_out_with_the_key_of_its_own_account_or_not_at_all(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    accounts = {"drip-a": "a", "drip-b": "b", "drip-c": "c", "drip-none": ""}
    store.put([arrival(message_id, account) for message_id, account in accounts.items()])
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
    store.put([arrival(f"drip-{account}", account) for account in ("a", "b", "")])
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
    bare = len(str(arrival("drip-000").payload))
    call = json.loads(str(arrival("drip-000").payload))
    filling = "x" * (MOST_BYTES // 100 - bare - len(', "filling": ""'))
    for message_id in names(100):
        payload = json.dumps({**call, "messageId": message_id, "filling": filling})
        assert len(payload) == MOST_BYTES // 100
        keep(store, message_id, payload=payload)
    delivery.drain()

    [batch] = segment.batches
    assert len(batch.calls) == 100
    assert MOST_BYTES < len(batch.body) <= 475_000


# --- a culprit in the batch


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_bad_event_among_100_is_dead_with_segments_words_and_the_others_are_sent_once(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, status: int
) -> None:
    keep(store, *names(100))
    segment.behave = refuse_if(holds("drip-037"), status)
    delivery.drain()

    assert sorted(segment.message_ids()) == [name for name in names(100) if name != "drip-037"]
    dead = rows(store)["drip-037"]
    assert (dead.state, dead.settled_at, dead.lease) == ("dead", NOW, None)
    assert "not to my taste" in dead.error
    assert str(status) in dead.error
    assert delivery.outcomes == {"sent": 99, "dead": 1}
    assert len(segment.batches) <= 15


def test_a_batch_that_is_only_too_big_costs_no_event(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker
) -> None:
    keep(store, *names(100))
    segment.behave = refuse_if(lambda batch: len(batch.calls) > 30, 413)
    delivery.drain()
    assert sorted(segment.message_ids()) == names(100)
    assert states(store) == {"sent": 100}


def test_while_a_batch_is_halved_the_part_in_hand_stays_ours(store: Store, clock: Clock) -> None:
    other = Recorder()

    def slow_refusal(_: str) -> None:
        clock.now += LEASE * 0.7
        delivery_to(store, other, clock).deliver_due()
        if len(first.batches) == 1:
            raise BatchRejected("HTTP 413")

    first = Recorder(slow_refusal)
    keep(store, *names(8))
    delivery_to(store, first, clock).drain()

    assert first.batches == [names(8), names(4)]
    assert other.batches == [names(8)[4:]]
    assert states(store) == {"sent": 8}


def test_a_stop_while_a_batch_is_halved_gives_the_rest_back_untried(
    store: Store, clock: Clock
) -> None:
    def refuse_then_stop(_: str) -> None:
        if len(destination.batches) == 1:
            raise BatchRejected("HTTP 413")
        delivery.stop()

    destination = Recorder(refuse_then_stop)
    delivery = delivery_to(store, destination, clock)
    keep(store, *names(4))
    delivery.drain()

    assert destination.batches == [names(4), names(2)]
    assert [rows(store)[name].state for name in names(2)] == ["sent", "sent"]
    for name in names(4)[2:]:
        row = rows(store)[name]
        assert (row.state, row.due_at, row.lease, row.tries) == ("pending", NOW, None, 0)


@pytest.mark.parametrize("error", [RetryableError("HTTP 503"), InvalidKey("HTTP 401")])
def test_a_key_that_comes_to_rest_while_a_batch_is_halved_gets_no_more_of_it(
    store: Store, clock: Clock, error: SendError
) -> None:
    def refuse_then_fail(_: str) -> None:
        raise BatchRejected("HTTP 413") if len(destination.batches) == 1 else error

    destination = Recorder(refuse_then_fail)
    keep(store, *names(4))
    delivery_to(store, destination, clock).drain()

    assert destination.batches == [names(4), names(2)]
    for name in names(4)[2:]:
        row = rows(store)[name]
        assert (row.state, row.due_at, row.lease, row.tries) == ("pending", NOW, None, 0)


# --- later


def test_a_failure_postpones_each_event_by_its_own_tries(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    segment.behave = lambda _: Reply(503, body=b"busy")
    keep(store, "drip-1")
    delivery.drain()
    clock.now += 5
    keep(store, "drip-2", received_at=clock.now)
    delivery.drain()

    first, second = rows(store)["drip-1"], rows(store)["drip-2"]
    assert (first.tries, first.due_at) == (2, clock.now + 10)
    assert (second.tries, second.due_at) == (1, clock.now + 5)
    assert first.state == second.state == "pending"
    assert "busy" in second.error

    segment.behave = lambda _: OK
    clock.now += 10
    delivery.drain()
    assert states(store) == {"sent": 2}


def test_after_a_failure_the_key_rests_so_that_waiting_events_cost_no_tries(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    segment.behave = lambda _: Reply(503)
    keep(store, *names(250))
    delivery.drain()
    clock.now += 4.9
    delivery.drain()
    assert len(segment.batches) == 1
    assert Counter(row.tries for row in rows(store).values()) == {1: 100, 0: 150}

    segment.behave = lambda _: OK
    clock.now += 0.2
    delivery.drain()
    assert states(store) == {"sent": 250}


@pytest.mark.parametrize("header", ["Retry-After", "X-RateLimit-Reset"])
def test_the_wait_that_segment_asks_for_is_kept_for_every_event_of_the_key(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock, header: str
) -> None:
    keep(store, "drip-1", account="a")
    segment.behave = lambda _: Reply(429, headers={header: "120"})
    delivery.drain()
    assert rows(store)["drip-1"].due_at == NOW + 120
    keep(store, "drip-2", account="b")
    segment.behave = lambda _: OK

    clock.now += 119.9
    delivery.drain()
    assert segment.message_ids() == []
    clock.now += 0.1
    delivery.drain()
    assert sorted(segment.message_ids()) == ["drip-1", "drip-2"]


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


def test_accounts_with_one_key_share_batches_and_have_their_turns(
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


def test_of_accounts_with_one_key_all_are_told_that_it_is_refused(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    for account in ("a", "b"):
        keep(store, f"drip-{account}", account=account)
    segment.behave = lambda _: Reply(401)
    delivery.drain()
    assert [account for account, *_ in pauses_of(store)] == ["a", "b"]
    segment.behave = lambda _: OK
    clock.now += KEY_PAUSE
    delivery.drain()
    assert pauses_of(store) == []


def test_a_key_that_rests_does_not_hold_up_another(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    keep(store, "drip-a", account="a")
    keep(store, "drip-b", account="b")
    segment.behave = lambda batch: Reply(503) if batch.write_key == "key-a" else OK
    delivery_to(
        store, SegmentDestination(segment.url, None, {"a": "key-a", "b": "key-b"}), clock
    ).drain()
    assert segment.message_ids() == ["drip-b"]


@pytest.mark.parametrize(
    ("age", "tries", "lived"),
    [
        pytest.param(0.0, range(75, 90), (GIVE_UP_AFTER, GIVE_UP_AFTER + 3600), id="fresh"),
        pytest.param(2 * GIVE_UP_AFTER, range(8, 9), (600, 700), id="held for days"),
    ],
)
def test_an_event_that_is_never_taken_is_dead_in_the_end(
    store: Store, clock: Clock, age: float, tries: range, lived: tuple[float, float]
) -> None:
    def fail(_: str) -> None:
        raise RetryableError("HTTP 503", "still busy")

    delivery = delivery_to(store, Recorder(fail), clock)
    keep(store, "drip-1", received_at=NOW - age)
    while (row := rows(store)["drip-1"]).state == "pending":
        clock.now = max(row.due_at, clock.now)
        delivery.drain()

    assert row.state == "dead"
    assert row.tries in tries
    assert lived[0] <= clock.now - NOW <= lived[1]
    assert row.error == "HTTP 503 still busy"


def test_of_one_failed_batch_only_the_events_whose_time_is_over_are_dead(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    segment.behave = lambda _: Reply(503)
    keep(store, "drip-old", received_at=NOW - GIVE_UP_AFTER)
    for _ in range(7):
        delivery.drain()
        clock.now = rows(store)["drip-old"].due_at
    keep(store, "drip-new", received_at=clock.now)
    delivery.drain()

    assert rows(store)["drip-old"].state == "dead"
    new = rows(store)["drip-new"]
    assert (new.state, new.tries, new.due_at) == ("pending", 1, clock.now + 5)
    assert delivery.outcomes == {"later": 8, "dead": 1}


# --- the key or the address is wrong


@pytest.mark.parametrize(
    ("status", "check"),
    [
        (401, "SEGMENT_WRITE_KEY"),
        (404, "SEGMENT_HOST"),
        (308, "SEGMENT_HOST"),
    ],
)
def test_a_refused_key_pauses_alone_and_costs_its_events_no_try(
    store: Store,
    segment: FakeSegment,
    clock: Clock,
    said: Said,
    status: int,
    check: str,
) -> None:
    refusal = Reply(status, headers={"Location": f"{segment.url}/welcome"})
    segment.behave = lambda batch: refusal if batch.write_key == "key-a" else OK
    delivery = delivery_to(store, SegmentDestination(segment.url, "key-a", {"b": "key-b"}), clock)
    keep(store, *names(150), account="a")
    keep(store, "drip-b", account="b")
    delivery.drain()

    assert segment.message_ids() == ["drip-b"]
    held = rows(store)["drip-000"]
    assert (held.state, held.due_at, held.lease, held.tries) == ("pending", NOW, None, 0)
    assert check in said.text

    clock.now += 59.9
    delivery.drain()
    assert [batch.write_key for batch in segment.batches] == ["key-a", "key-b"]

    segment.behave = lambda _: OK
    clock.now += 0.1
    delivery.drain()
    assert states(store) == {"sent": 151}
    assert set(segment.visits) == {"POST /v1/batch"}


def pauses_of(store: Store) -> list[tuple[str, float, str]]:
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        columns = (pauses.c.account, pauses.c.until, pauses.c.reason)
        return [row[:] for row in connection.execute(select(*columns))]


# --- nothing is reached


def test_a_destination_that_is_not_reached_costs_no_try_and_is_tried_again_soon_then_each_minute(
    store: Store, clock: Clock
) -> None:
    def fail(_: str) -> None:
        tried.append(clock.now)
        raise Unreachable("no such host: check SEGMENT_HOST")

    tried: list[float] = []
    destination = Recorder(fail)
    delivery = delivery_to(store, destination, clock)
    keep(store, *names(150))
    noted = None
    while clock.now < NOW + 300:
        delivery.drain()
        if noted is None and pauses_of(store):
            noted = clock.now
        clock.now += 1

    assert [at - NOW for at in tried[:6]] == [0, 5, 15, 35, 75, 135]
    assert noted == NOW + 15  # a passing failure is nobody's business
    first = rows(store)["drip-000"]
    assert (first.state, first.tries, first.lease) == ("pending", 0, None)
    assert first.error == "no such host: check SEGMENT_HOST"

    destination.behave = lambda _: None
    delivery.drain()
    assert states(store) == {"pending": 150}
    clock.now += KEY_PAUSE
    delivery.drain()
    assert states(store) == {"sent": 150}
    assert pauses_of(store) == []

    destination.behave = fail
    keep(store, "drip-later")
    delivery.drain()
    assert pauses_of(store) == []  # it is counted from none again


# --- the key, or what one event says to a firewall


def forbid(*culprits: str) -> Callable[[Batch], Reply]:
    return refuse_if(lambda batch: any(holds(name)(batch) for name in culprits), 403)


def test_an_event_that_a_firewall_minds_stands_alone_and_is_told_with_its_words(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    keep(store, "drip-before")
    delivery.drain()
    keep(store, *names(100))
    segment.behave = forbid("drip-037")
    delivery.drain()

    assert sorted(segment.message_ids()[1:]) == [name for name in names(100) if name != "drip-037"]
    culprit = rows(store)["drip-037"]
    assert (culprit.state, culprit.tries, culprit.due_at) == ("pending", 1, clock.now + 5)
    assert "HTTP 403" in culprit.error
    assert "not to my taste" in culprit.error
    assert pauses_of(store) == []
    assert len(segment.batches) <= 16

    segment.batches.clear()
    clock.now += 5
    keep(store, "drip-next")
    delivery.drain()
    assert "drip-next" in segment.message_ids()
    assert len(segment.batches) == 3
    while rows(store)["drip-037"].state == "pending":
        clock.now = max(clock.now, rows(store)["drip-037"].due_at)
        keep(store, f"drip-{clock.now}")  # others show that the key is good
        delivery.drain()
    assert clock.now - NOW >= GIVE_UP_AFTER
    assert states(store)["pending"] == 0


def test_after_a_start_one_event_alone_tells_whether_the_key_is_good(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    keep(store, *names(100))
    segment.behave = forbid("drip-000")
    delivery.drain()
    assert [len(batch.calls) for batch in segment.batches] == [100, 1]
    culprit = rows(store)["drip-000"]
    assert (culprit.state, culprit.tries) == ("pending", 0)
    assert "not to my taste" in culprit.error
    assert len(pauses_of(store)) == 1

    clock.now += KEY_PAUSE
    delivery.drain()
    assert sorted(segment.message_ids()) == names(100)[1:]
    assert rows(store)["drip-000"].tries == 1
    assert pauses_of(store) == []


def test_a_key_that_is_refused_with_403_rests_once_three_events_were_refused_alone(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    keep(store, "drip-before")
    delivery.drain()
    keep(store, *names(100))
    segment.behave = lambda _: Reply(403)
    delivery.drain()

    alone = [batch.calls[0]["messageId"] for batch in segment.batches if len(batch.calls) == 1]
    assert len(set(alone[1:])) == 3
    assert len(segment.batches) <= 13
    assert Counter(row.tries for row in rows(store).values()) == {0: 98, 1: 3}
    assert [reason.partition(":")[0] for *_, reason in pauses_of(store)] == ["HTTP 403"]

    for minute in range(1, 4):  # then it costs two requests a minute, and no try
        count = len(segment.batches)
        clock.now += KEY_PAUSE
        delivery.drain()
        assert len(segment.batches) == count + 2, minute
    assert Counter(row.tries for row in rows(store).values()) == {0: 98, 1: 3}

    segment.behave = lambda _: OK
    clock.now += KEY_PAUSE
    delivery.drain()
    assert states(store) == {"sent": 101}


# --- leases and crashes


def test_a_lease_is_longer_than_two_exchanges_and_a_stop_waits_for_less_than_20_seconds() -> None:
    assert LEASE > 2 * segment_module.WHOLE_EXCHANGE
    assert segment_module.READ_TIMEOUT < segment_module.WHOLE_EXCHANGE < 15


def refuse(error: SendError | None) -> None:
    if error:
        raise error


@pytest.mark.parametrize(
    ("late", "count"),
    [
        (None, 2),
        (RetryableError("HTTP 503"), 2),
        (InvalidKey("HTTP 401"), 2),
        (BatchRejected("HTTP 400"), 2),
        (BatchRejected("HTTP 400"), 1),
    ],
)
@pytest.mark.parametrize("other", [None, RetryableError("HTTP 503")])
def test_who_overslept_its_lease_does_not_undo_what_another_did_meanwhile(
    store: Store,
    clock: Clock,
    said: Said,
    late: SendError | None,
    count: int,
    other: SendError | None,
) -> None:
    def oversleep(_: str) -> None:
        clock.now += LEASE
        delivery_to(store, Recorder(lambda _: refuse(other)), clock).drain()
        done.append(rows(store))
        refuse(late)

    done: list[dict[str, Row[Any]]] = []
    sleeper = Recorder(oversleep)
    keep(store, *names(count))
    delivery = delivery_to(store, sleeper, clock)
    delivery.deliver_due()

    assert rows(store) == done[0]
    assert len(sleeper.batches) == 1
    assert delivery.outcomes.total() == 0
    assert "no longer ours" in said.text or (count == 2 and isinstance(late, BatchRejected))


def test_a_lease_that_ended_while_nobody_else_came_still_settles(
    store: Store, clock: Clock
) -> None:
    def oversleep(_: str) -> None:
        clock.now += 2 * LEASE

    keep(store, "drip-1")
    delivery_to(store, Recorder(oversleep), clock).deliver_due()
    assert rows(store)["drip-1"].state == "sent"


@pytest.mark.parametrize("taken", [False, True], ids=["before sending", "before settling"])
def test_after_a_crash_the_same_message_goes_out_again_when_the_lease_has_ended(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock, taken: bool
) -> None:
    class Crashing(SegmentDestination):
        def send(self, key: str, payloads: Sequence[str]) -> None:
            if taken:
                super().send(key, payloads)
            raise Crash

    keep(store, *names(2))
    with pytest.raises(Crash):
        delivery_to(store, Crashing(segment.url, KEY, {}), clock).deliver_due()

    clock.now += LEASE - 0.1
    delivery.drain()
    assert len(segment.batches) == int(taken)

    clock.now += 0.1
    delivery.drain()
    assert segment.message_ids() == names(2) * (1 + int(taken))
    assert states(store) == {"sent": 2}


# --- the loop


def test_a_stop_lets_the_batch_in_hand_finish_and_claims_no_other(
    store: Store, clock: Clock
) -> None:
    destination = Recorder(lambda _: stopped.stop())
    stopped = delivery_to(store, destination, clock)
    keep(store, *names(150), account="a")
    keep(store, "drip-b", account="b")
    stopped.run()

    assert destination.batches == [names(100)]
    assert states(store) == {"sent": 100, "pending": 51}
    assert all(row.lease is None for row in rows(store).values())


@pytest.mark.parametrize("status", [401, 503])
def test_draining_ends_when_something_cannot_be_delivered(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, status: int
) -> None:
    keep(store, *names(250))
    segment.behave = lambda _: Reply(status)
    delivery.drain()
    assert len(segment.batches) == 1
    assert states(store) == {"pending": 250}


def test_draining_ends_when_no_key_is_set(store: Store, segment: FakeSegment, clock: Clock) -> None:
    keep(store, *names(250))
    delivery_to(store, SegmentDestination(segment.url, None, {}), clock).drain()
    assert segment.batches == []


@pytest.fixture
def running(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[DeliveryWorker, Recorder]]:
    """The loop in its thread, with no need for patience."""
    monkeypatch.setattr(module, "POLL", 0.005)
    monkeypatch.setattr(module, "FAULT_PAUSE", 0.005)
    destination = Recorder()
    delivery = delivery_to(store, destination, clock)
    thread = delivery.start()
    yield delivery, destination
    delivery.stop()
    thread.join(5)
    assert not thread.is_alive()


def test_the_loop_sends_what_comes_in_while_it_runs(
    store: Store, running: tuple[DeliveryWorker, Recorder]
) -> None:
    _, destination = running
    keep(store, "drip-1")
    wait_until(lambda: states(store) == {"sent": 1})
    keep(store, "drip-2")
    wait_until(lambda: states(store) == {"sent": 2})
    assert destination.batches == [["drip-1"], ["drip-2"]]


def test_the_loop_survives_a_fault_of_its_own_and_does_not_tell_whom_it_met(
    store: Store,
    running: tuple[DeliveryWorker, Recorder],
    clock: Clock,
    said: Said,
) -> None:
    def fail(_: str) -> None:
        if len(destination.batches) < 3:
            raise LookupError("ana@example.com")

    def sent_in_time() -> bool:
        clock.now += LEASE
        return states(store) == {"sent": 1}

    _, destination = running
    destination.behave = fail
    keep(store, "drip-1")
    wait_until(sent_in_time)

    assert destination.batches == [["drip-1"]] * 3
    assert "LookupError" in said.text
    assert "example.com" not in said.text


def test_a_fault_with_one_accounts_events_does_not_hold_up_another_account(
    store: Store, running: tuple[DeliveryWorker, Recorder], clock: Clock
) -> None:
    def fail(key: str) -> None:
        if key == "key-of-a":
            clock.now += LEASE
            raise LookupError("any fault")

    _, destination = running
    destination.behave = fail
    keep(store, "drip-a", account="a")
    keep(store, "drip-b", account="b")
    wait_until(lambda: ["drip-b"] in destination.batches or len(destination.batches) > 20)
    assert ["drip-b"] in destination.batches


def test_the_loop_survives_a_database_error(
    store: Store, running: tuple[DeliveryWorker, Recorder], said: Said
) -> None:
    def rename(old: str, new: str) -> None:
        with store.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    _, destination = running
    keep(store, "drip-1")
    wait_until(lambda: states(store) == {"sent": 1})

    rename("events", "elsewhere")
    wait_until(lambda: "outbox out of reach" in said.text)
    rename("elsewhere", "events")

    keep(store, "drip-2")
    wait_until(lambda: states(store) == {"sent": 2})
    assert destination.batches == [["drip-1"], ["drip-2"]]


def test_no_log_line_holds_a_key_or_what_an_event_says(
    store: Store, segment: FakeSegment, clock: Clock, said: Said
) -> None:
    configure_logs("debug", "logfmt")  # which keeps the SDK quiet
    delivery = delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)
    for status in (200, 302, 401, 400, 503):
        segment.behave = lambda batch, status=status: Reply(  # type: ignore[misc]
            status, body=batch.body, headers={"Location": f"/?{KEY}"}
        )
        keep(store, f"drip-{status}", received_at=clock.now)
        delivery.drain()
        clock.now += KEY_PAUSE

    assert delivery.outcomes == {"sent": 1, "released": 3, "dead": 3, "later": 1}
    assert "key refused" in said.text
    assert "not taken" in said.text
    assert "drip-503" in said.text
    for secret in (KEY, "ana@example.com", '"type": "track"'):
        assert secret not in said.text


def test_a_refused_key_is_noted_for_others_to_see_until_it_is_good(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    segment.behave = lambda _: Reply(401)
    keep(store, "drip-1", account="4417")
    first = delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)
    first.drain()
    reason = "HTTP 401: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS"
    assert pauses_of(store) == [("4417", clock.now + KEY_PAUSE, reason)]

    clock.now += KEY_PAUSE
    first.drain()
    assert pauses_of(store) == [("4417", clock.now + KEY_PAUSE, reason)]

    segment.behave = lambda _: Reply(200)
    restarted = delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)
    restarted.drain()
    assert pauses_of(store) == []


def test_a_key_that_is_refused_later_is_noted_again(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    for status, count in ((200, 0), (401, 1), (200, 0)):
        segment.behave = lambda _, status=status: Reply(status)  # type: ignore[misc]
        keep(store, f"drip-{clock.now}")
        delivery.drain()
        assert len(pauses_of(store)) == count
        clock.now += KEY_PAUSE
