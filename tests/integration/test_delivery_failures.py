"""What a destination refuses or does not answer: what becomes of the events, and of the key."""

from collections import Counter
from collections.abc import Callable

import pytest

from app.delivery.decision import KEY_PAUSE
from app.delivery.worker import LEASE, DeliveryWorker
from app.destination import (
    BatchRejected,
    InvalidKey,
    RetryableError,
    SendError,
    Unreachable,
)
from app.drip_to_segment.destination import SegmentDestination
from app.monitoring.stats import take_stats
from app.outbox.answers import WORKS
from app.outbox.store import Store
from tests.support.builders import NOW, rows
from tests.support.clock import Clock
from tests.support.delivery import (
    KEY,
    Recorder,
    answer_of,
    delivery_to,
    holds,
    keep,
    names,
    refuse_if,
    states,
)
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply
from tests.support.logged import Logged

GIVE_UP_AFTER = SegmentDestination.retry.give_up_after


def causes_of(store: Store) -> dict[str, str]:
    """Why the messages of each account wait."""
    found = take_stats(store.engine, "segment", NOW, lambda _: KEY)
    return {each.account: each.cause for each in found.waiting}


# a culprit in the batch


@pytest.mark.parametrize("status", [400, 413, 422])
def test_one_bad_event_among_100_dies_and_the_others_are_sent(
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


def test_the_part_in_hand_of_a_halved_batch_stays_ours(store: Store, clock: Clock) -> None:
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


def test_a_stop_gives_the_rest_of_a_halved_batch_back_untried(store: Store, clock: Clock) -> None:
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
def test_a_paused_key_gets_no_more_of_a_halved_batch(
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


# later


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


def test_a_failure_pauses_the_key_and_costs_no_other_tries(
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
def test_the_wait_that_segment_asks_for_is_kept_by_the_key(
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


def test_all_accounts_of_a_refused_key_are_paused(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    for account in ("a", "b"):
        keep(store, f"drip-{account}", account=account)
    segment.behave = lambda _: Reply(401)
    delivery.drain()
    assert causes_of(store) == {"a": "paused", "b": "paused"}
    segment.behave = lambda _: OK
    clock.now += KEY_PAUSE
    delivery.drain()
    assert states(store) == {"sent": 2}


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


def test_only_events_whose_time_is_over_die_of_a_failed_batch(
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


# the key or the address is wrong


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
    logged: Logged,
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
    assert check in logged.text

    clock.now += 59.9
    delivery.drain()
    assert [batch.write_key for batch in segment.batches] == ["key-a", "key-b"]

    segment.behave = lambda _: OK
    clock.now += 0.1
    delivery.drain()
    assert states(store) == {"sent": 151}
    assert set(segment.visits) == {"POST /v1/batch"}


# nothing is reached


def test_an_unreachable_destination_costs_no_try(store: Store, clock: Clock) -> None:
    def fail(_: str) -> None:
        tried.append(clock.now)
        raise Unreachable("no such host: check SEGMENT_HOST")

    tried: list[float] = []
    destination = Recorder(fail)
    delivery = delivery_to(store, destination, clock)
    keep(store, *names(150))
    while clock.now < NOW + 300:
        delivery.drain()
        clock.now += 1

    assert [at - NOW for at in tried[:6]] == [0, 5, 15, 35, 75, 135]
    answer = answer_of(store)
    assert (answer.kind, answer.failing_since) == ("unreachable", NOW)
    first = rows(store)["drip-000"]
    assert (first.state, first.tries, first.lease) == ("pending", 0, None)
    assert first.error == "no such host: check SEGMENT_HOST"

    destination.behave = lambda _: None
    delivery.drain()
    assert states(store) == {"pending": 150}
    clock.now += KEY_PAUSE
    delivery.drain()
    assert states(store) == {"sent": 150}
    assert answer_of(store).kind == "taken"

    destination.behave = fail
    keep(store, "drip-later")
    delivery.drain()
    assert answer_of(store).failures == 1  # it is counted from none again
    assert answer_of(store).next_at == clock.now + 5


# the key, or what one event says to a firewall


def forbid(*culprits: str) -> Callable[[Batch], Reply]:
    return refuse_if(lambda batch: any(holds(name)(batch) for name in culprits), 403)


def test_an_event_that_a_firewall_minds_is_found_alone(
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
    assert answer_of(store).kind == "taken"
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


def test_one_event_alone_proves_the_key_after_a_start(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    keep(store, *names(100))
    segment.behave = forbid("drip-000")
    delivery.drain()
    assert [len(batch.calls) for batch in segment.batches] == [100, 1]
    culprit = rows(store)["drip-000"]
    assert (culprit.state, culprit.tries) == ("pending", 0)
    assert "not to my taste" in culprit.error
    assert answer_of(store).kind == "refused"

    clock.now += KEY_PAUSE
    delivery.drain()
    assert sorted(segment.message_ids()) == names(100)[1:]
    assert rows(store)["drip-000"].tries == 1
    assert answer_of(store).kind in WORKS


def test_a_key_pauses_after_three_events_were_403_alone(
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
    answer = answer_of(store)
    assert (answer.kind, answer.reason.partition(":")[0]) == ("refused", "HTTP 403")

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


def test_a_refused_key_is_in_the_database_until_good(
    store: Store, segment: FakeSegment, clock: Clock
) -> None:
    segment.behave = lambda _: Reply(401)
    keep(store, "drip-1", account="4417")
    first = delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)
    first.drain()
    reason = "HTTP 401: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS"
    answer = answer_of(store)
    assert (answer.kind, answer.reason) == ("refused", reason)
    assert (answer.failing_since, answer.next_at) == (NOW, clock.now + KEY_PAUSE)

    clock.now += KEY_PAUSE
    delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock).drain()
    answer = answer_of(store)
    assert (answer.failures, answer.failing_since) == (2, NOW)
    assert answer.next_at == clock.now + KEY_PAUSE

    segment.behave = lambda _: Reply(200)
    restarted = delivery_to(store, SegmentDestination(segment.url, KEY, {}), clock)
    restarted.drain()
    answer = answer_of(store)
    assert (answer.kind, answer.failing_since, answer.recovered_at) == ("taken", None, clock.now)


def test_a_key_that_is_refused_later_is_noted_again(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock
) -> None:
    for status, kind in ((200, "taken"), (401, "refused"), (200, "taken")):
        segment.behave = lambda _, status=status: Reply(status)  # type: ignore[misc]
        keep(store, f"drip-{clock.now}")
        delivery.drain()
        assert answer_of(store).kind == kind
        clock.now += KEY_PAUSE
