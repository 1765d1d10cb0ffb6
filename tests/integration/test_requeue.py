"""Requeue gives events another go, erase takes every trace; neither doubles nor loses anything."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import events
from app.drip_to_segment.schema import body_to_event
from app.drip_to_segment.translate import translate
from app.outbox import requeue as requeueing
from app.outbox.batches import in_batches
from app.outbox.messages import Attempt, Message, attempt_to_line
from app.outbox.requeue import START, Outcome, Requeue
from app.outbox.store import Store
from tests.support.bridge_process import ROOT
from tests.support.builders import (
    NOW,
    claim,
    mark_dead,
    message,
    messages,
    no_wait,
    rows,
    same_but,
    translated,
)
from tests.support.cost import rows_on_postgresql, statement_of, steps_on_sqlite

OPENED = json.loads((ROOT / "samples" / "opened_email.json").read_text())
OPENED["data"]["subscriber"]["email"] = "Ana@Example.com"
LATER = NOW + 100


def body(n: int = 0) -> bytes:
    """An email event that can be read."""
    return json.dumps({**OPENED, "data": {**OPENED["data"], "properties": {"n": n}}}).encode()


def set_aside(name: str, raw: bytes, received_at: float = NOW) -> Message:
    """As quarantined by a version that could not read it."""
    return message(
        name, account="", payload=None, raw=raw, errors={"body": ["?"]}, received_at=received_at
    )


@pytest.fixture
def requeue(store: Store) -> Requeue:
    return Requeue(store.engine, "segment", translate)


def read_again(requeue: Requeue) -> Counter[Outcome]:
    return requeue.requeue_quarantined(LATER, no_wait)


def bury(store: Store, count: int) -> None:
    store.put(messages(count))
    mark_dead(store, claim(store, most_events=count), Attempt(NOW, "HTTP 400 no", ""))


def test_an_event_refused_by_the_database_stops_no_other(
    tmp_path: Path,
) -> None:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)
    Store(engine, "segment").put([set_aside(f"q{n}", body(n)) for n in range(3)])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN (SELECT count(*) FROM events"
            " WHERE state = 'pending') = 1 BEGIN SELECT raise(ABORT, ''); END"
        )

    assert read_again(Requeue(engine, "segment", translate)) == {"requeued": 1, "unreadable": 2}
    engine.dispose()


# dead


def test_dead_events_are_due_again_as_on_the_first_day(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    store.put([message("other")])
    before = rows(store)

    assert requeue.requeue_some_dead(LATER) == 1

    again = {"state": "pending", "due_at": LATER, "tries": 0, "settled_at": None, "error": None}
    history = before["m0"].history + attempt_to_line(Attempt(LATER, "requeued"))
    after = rows(store)
    assert same_but(after["m0"]) == same_but(before["m0"], **again, history=history)
    assert after["other"] == before["other"]
    assert "m0" in [claimed.message_id for claimed in claim(store, now=LATER).messages]


def test_dead_events_go_in_steps_until_none_is_left(store: Store, requeue: Requeue) -> None:
    bury(store, 2 * requeueing.STEP + 1)
    steps = list(in_batches(lambda: requeue.requeue_some_dead(LATER), no_wait))
    assert steps == [requeueing.STEP, requeueing.STEP, 1]
    assert {row.state for row in rows(store).values()} == {"pending"}


def test_what_dies_after_the_start_is_not_requeued_again(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    assert requeue.requeue_some_dead(NOW) == 1
    mark_dead(store, claim(store), Attempt(NOW + 0.001, "no", ""))
    assert requeue.requeue_some_dead(NOW) == 0


def test_dead_events_are_counted(store: Store, requeue: Requeue) -> None:
    bury(store, 3)
    store.put([set_aside("q", b"")])
    assert requeue.count("dead") == 3
    assert requeue.count("dead", received_before=NOW) == 2
    assert requeue.count("quarantined") == 1


def test_two_that_requeue_at_once_share_the_work(store: Store, database_url: URL) -> None:
    bury(store, 1_000)
    engines = [open_database(database_url) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        counts = list(
            pool.map(
                lambda e: sum(
                    in_batches(lambda: Requeue(e, "segment", translate).requeue_some_dead(LATER))
                ),
                engines,
            )
        )
    for engine in engines:
        engine.dispose()
    # one that found all of a step locked by others leaves the rest to them
    assert sum(counts) == 1_000
    assert {row.state for row in rows(store).values()} == {"pending"}


# quarantined


def test_what_can_be_read_now_is_pending_as_if_it_had_just_come(
    store: Store, requeue: Requeue
) -> None:
    store.put([set_aside("raw-1", body())])
    call = translated(body(), NOW)

    assert read_again(requeue) == {"requeued": 1}

    (row,) = rows(store).values()
    assert same_but(row) == {
        "id": row.id,
        "event": row.id,
        "destination": "segment",
        "message_id": call.message_id,
        "account": "4417",
        "state": "pending",
        "payload": call.payload,
        "raw": body(),
        "received_at": NOW,
        "due_at": LATER,
        "lease": None,
        "tries": 0,
        "error": None,
        "settled_at": None,
        "collection": "Email Opened",
        "email": "ana@example.com",
        "history": None,
        "person": None,
    }


def test_what_follows_from_a_message_comes_with_it(store: Store) -> None:
    def read(raw: bytes, received_at: float, account: str) -> Message:
        follow_up = message("m1/campaign", account=account, payload='"join"', person="")
        return message(
            "m1", account=account, raw=raw, received_at=received_at, follow_ups=(follow_up,)
        )

    store.put([set_aside("raw-1", b"body")])
    requeue = Requeue(store.engine, store.destination, read)
    assert read_again(requeue) == {"requeued": 1}
    first, second = rows(store).values()
    assert (first.message_id, second.message_id) == ("m1", "m1/campaign")
    assert (second.payload, second.raw, second.person) == ('"join"', b"body", "")


def test_the_time_of_receipt_replaces_a_missing_one(store: Store, requeue: Requeue) -> None:
    timeless = json.dumps({**OPENED, "occurred_at": None}).encode()
    store.put([set_aside("raw-1", timeless)])
    read_again(requeue)
    (row,) = rows(store).values()
    assert json.loads(row.payload)["timestamp"] == "1970-01-12T13:46:40.000+00:00"


def test_each_quarantined_event_has_its_own_outcome(store: Store, requeue: Requeue) -> None:
    call = translated(body(2), NOW)
    store.put([message(call.message_id)])
    store.put(
        [
            set_aside("raw-1", body(1)),
            set_aside("raw-2", body(2)),
            set_aside("raw-3", b'{"event": "subscriber.created"}'),
            set_aside("raw-4", b"not json"),
        ]
    )

    assert read_again(requeue) == {
        "requeued": 1,
        "duplicate": 1,
        "ignored": 1,
        "unreadable": 1,
    }

    after = rows(store)
    assert set(after) == {translated(body(1), NOW).message_id, call.message_id, "raw-4"}
    assert after[call.message_id].raw == call.message_id.encode()
    left = after["raw-4"]
    assert (left.state, left.settled_at) == ("quarantined", NOW)
    assert "Not JSON" in json.loads(left.error)["body"][0]
    assert read_again(requeue) == {"unreadable": 1}


def test_many_are_gone_through_whatever_they_have_in_common(store: Store, requeue: Requeue) -> None:
    """Times of arrival are shared, and most stay where they are."""
    store.put([set_aside(f"raw-{n}", b"not json") for n in range(60)])
    store.put([set_aside(f"more-{n}", body(n), NOW + n // 7) for n in range(50)])
    store.put([set_aside("too-late", body(999), LATER + 1)])
    assert read_again(requeue) == {"requeued": 50, "unreadable": 60}


def test_no_page_goes_through_more_than_its_events(store: Store, requeue: Requeue) -> None:
    store.put([set_aside(f"raw-{n}", b"not json", NOW + n // 7) for n in range(3_000)])
    lease = claim(store)
    (first,) = requeue.quarantined(START, LATER * 2, 1)
    statement = statement_of(
        store, lambda *_: requeue.quarantined(first.place, LATER * 2, 20), lease
    )
    if store.engine.dialect.name == "sqlite":
        assert steps_on_sqlite(store.engine, statement) < 20 * 100
    else:
        assert rows_on_postgresql(store.engine, statement) <= 40


def test_a_fault_of_the_bridge_leaves_an_event_quarantined(
    store: Store, requeue: Requeue, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put([set_aside("raw-1", body(1)), set_aside("raw-2", body(2))])
    faults = iter([KeyError("ana@example.com")])

    def fail_once(raw: bytes) -> Any:
        for fault in faults:
            raise fault
        return body_to_event(raw)

    monkeypatch.setattr("app.drip_to_segment.translate.body_to_event", fail_once)
    assert read_again(requeue) == {"unreadable": 1, "requeued": 1}
    assert rows(store)["raw-1"].state == "quarantined"


def test_one_that_was_erased_meanwhile_does_not_come_back(store: Store, requeue: Requeue) -> None:
    store.put([set_aside("raw-1", body())])
    (kept,) = requeue.quarantined(START, LATER, 1)
    with store.engine.begin() as connection:
        connection.execute(update(events).values(state="erased"))
    before = rows(store)

    assert requeue.release(kept.id, message("drip-1"), LATER) is None
    assert requeue.discard(kept.id) is False
    assert requeue.explain(kept.id, {"body": []}) is False

    assert rows(store) == before


WHERE_TWO_WRITE_AT_ONCE = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@WHERE_TWO_WRITE_AT_ONCE
def test_one_that_is_erased_during_release_stays_erased(
    store: Store, requeue: Requeue, database_url: URL
) -> None:
    store.put([set_aside("raw-1", body())])
    other = open_database(database_url)

    def erase_meanwhile(_: Any, __: Any, sql: str, *___: Any) -> None:
        if sql.startswith("DELETE"):
            with other.begin() as connection:
                connection.execute(update(events).values(state="erased"))

    event.listen(store.engine, "before_cursor_execute", erase_meanwhile)
    assert read_again(requeue) == {"gone": 1}
    other.dispose()
    assert {name: row.state for name, row in rows(store).items()} == {"raw-1": "erased"}


def test_webhooks_meanwhile_make_no_event_twice(store: Store, database_url: URL) -> None:
    count = 120
    calls = [translated(body(n), NOW) for n in range(count)]
    store.put([set_aside(f"raw-{n}", body(n)) for n in range(count)])
    engines = [open_database(database_url) for _ in range(3)]
    new: set[str] = set()
    failed: list[Exception] = []

    def put_them() -> None:
        for start in range(0, count, 10):
            # in the other order than they are requeued in, and with a re-send of the raw body
            group = [message(c.message_id) for c in reversed(calls[start : start + 10])]
            again = [set_aside(f"raw-{n}", body(n)) for n in range(start, start + 10)]
            try:
                new.update(Store(engines[0], "segment").put([*group, *again]))
            except Exception as error:  # noqa: BLE001 - the thread's, for the test to tell
                failed.append(error)

    putting = threading.Thread(target=put_them)
    putting.start()
    with ThreadPoolExecutor(2) as pool:
        outcomes = sum(
            pool.map(lambda e: read_again(Requeue(e, "segment", translate)), engines[1:]), Counter()
        )
    putting.join()
    read_again(
        Requeue(engines[1], "segment", translate)
    )  # raw bodies that came again behind the requeue
    for engine in engines:
        engine.dispose()

    assert failed == []
    assert set(rows(store)) == {call.message_id for call in calls}
    assert outcomes["requeued"] + len(new & {c.message_id for c in calls}) == count


def test_a_named_event_is_requeued_whichever_it_is(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    store.put([set_aside("raw-1", body()), message("waits")])
    outcomes = {
        name: requeue.requeue_one(name, LATER) for name in ("m0", "raw-1", "waits", "nobody")
    }
    assert outcomes == {
        "m0": "requeued",
        "raw-1": "requeued",
        "waits": "left alone",
        "nobody": "unknown",
    }
    assert {row.state for row in rows(store).values()} == {"pending"}
