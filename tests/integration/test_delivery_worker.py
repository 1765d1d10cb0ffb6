"""Leases, crashes, and the loop: each event sent once, whatever fails in between."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Row, text

from app.delivery import worker as module
from app.delivery.decision import KEY_PAUSE
from app.delivery.worker import LEASE, DeliveryWorker
from app.destination import (
    BatchRejected,
    InvalidKey,
    RetryableError,
    SendError,
)
from app.drip_to_segment import destination as segment_module
from app.drip_to_segment.destination import SegmentDestination
from app.logs import configure_logs
from app.outbox.store import Store
from tests.support.builders import rows, same_but
from tests.support.clock import Clock
from tests.support.delivery import KEY, Recorder, delivery_to, keep, names, states
from tests.support.fake_segment import FakeSegment, Reply
from tests.support.logged import Logged
from tests.support.waiting import wait_until


class Crash(BaseException):
    """The process ends here: nothing in the bridge catches it."""


# leases and crashes


def test_a_lease_outlasts_two_exchanges() -> None:
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
def test_a_worker_that_overslept_undoes_nothing(
    store: Store,
    clock: Clock,
    logged: Logged,
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

    if late is None and other:  # the destination works again, so what had failed is due at once
        expected = {name: same_but(row, due_at=clock.now) for name, row in done[0].items()}
    else:
        expected = {name: same_but(row) for name, row in done[0].items()}
    assert {name: same_but(row) for name, row in rows(store).items()} == expected
    assert len(sleeper.batches) == 1
    assert delivery.outcomes.total() == 0
    assert "no longer ours" in logged.text or (count == 2 and isinstance(late, BatchRejected))


def test_an_ended_lease_that_nobody_took_still_settles(store: Store, clock: Clock) -> None:
    def oversleep(_: str) -> None:
        clock.now += 2 * LEASE

    keep(store, "drip-1")
    delivery_to(store, Recorder(oversleep), clock).deliver_due()
    assert rows(store)["drip-1"].state == "sent"


@pytest.mark.parametrize("taken", [False, True], ids=["before sending", "before settling"])
def test_a_message_goes_out_again_after_a_crash(
    store: Store, segment: FakeSegment, delivery: DeliveryWorker, clock: Clock, taken: bool
) -> None:
    class Crashing(SegmentDestination):
        def send(self, key: str, payloads: Sequence[str]) -> str:
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


# the loop


def test_a_stop_lets_the_batch_in_hand_finish(store: Store, clock: Clock) -> None:
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


def test_the_loop_survives_a_fault_and_logs_no_person(
    store: Store,
    running: tuple[DeliveryWorker, Recorder],
    clock: Clock,
    logged: Logged,
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
    assert "LookupError" in logged.text
    assert "example.com" not in logged.text


def test_a_fault_of_one_account_does_not_hold_up_another(
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
    store: Store, running: tuple[DeliveryWorker, Recorder], logged: Logged
) -> None:
    def rename(old: str, new: str) -> None:
        with store.engine.begin() as connection:
            connection.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    _, destination = running
    keep(store, "drip-1")
    wait_until(lambda: states(store) == {"sent": 1})

    rename("events", "elsewhere")
    wait_until(lambda: "outbox out of reach" in logged.text)
    rename("elsewhere", "events")

    keep(store, "drip-2")
    wait_until(lambda: states(store) == {"sent": 2})
    assert destination.batches == [["drip-1"], ["drip-2"]]


def test_no_log_line_has_a_key_or_an_events_contents(
    store: Store, segment: FakeSegment, clock: Clock, logged: Logged
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
    assert "key refused" in logged.text
    assert "not taken" in logged.text
    assert "drip-503" in logged.text
    for secret in (KEY, "ana@example.com", '"type": "track"'):
        assert secret not in logged.text
