"""Requeue gives events another go. Nothing is doubled or lost, whatever else runs meanwhile."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import events
from app.drip_to_segment.schema import body_to_event
from app.drip_to_segment.translate import translate
from app.outbox.messages import Attempt, Message, attempt_to_line
from app.outbox.outcomes import Outcome
from app.outbox.requeue import Requeue
from app.outbox.retranslation import Retranslation
from app.outbox.store import Store
from tests.support.bridge_process import ROOT
from tests.support.builders import (
    NOW,
    claim,
    mark_dead,
    message,
    messages,
    reschedule,
    rows,
    same_but,
    translated,
)

OPENED = json.loads((ROOT / "samples" / "opened_email.json").read_text())
OPENED["data"]["subscriber"]["email"] = "Ana@Example.com"
LATER = NOW + 100
BY_HAND = attempt_to_line(Attempt(LATER, "retried by hand"))


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


def retry_all(requeue: Requeue, store: Store) -> Counter[Outcome]:
    return requeue.some([row.id for row in rows(store).values()], LATER)


def bury(store: Store, count: int) -> None:
    store.put(messages(count))
    mark_dead(store, claim(store, most_events=count), Attempt(NOW, "HTTP 400 no", ""))


def change(store: Store, **values: Any) -> None:
    """Change every row, as another process might have."""
    with store.engine.begin() as connection:
        connection.execute(update(events).values(values))


# what failed


def test_a_dead_event_is_due_again_as_on_the_first_day(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    store.put([message("other")])
    before = rows(store)

    assert requeue.some([before["m0"].id], LATER) == {"requeued": 1}

    again = {"state": "pending", "due_at": LATER, "tries": 0, "settled_at": None}
    again |= {"error": None, "reason": None, "history": before["m0"].history + BY_HAND}
    after = rows(store)
    assert same_but(after["m0"]) == same_but(before["m0"], **again)
    assert after["other"] == before["other"]
    assert "m0" in [claimed.message_id for claimed in claim(store, now=LATER).messages]


def test_a_retry_takes_a_dismissal_back(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    (row,) = rows(store).values()
    assert requeue.dismiss([row.id], NOW) == 1
    assert rows(store)["m0"].dismissed_at == NOW
    assert retry_all(requeue, store) == {"requeued": 1}
    assert rows(store)["m0"].dismissed_at is None


def test_an_expired_event_is_looked_up_again(store: Store, requeue: Requeue) -> None:
    """Whose it is may have become known since."""
    store.put([message("m0", person="u:u-81")])
    change(store, state="expired", settled_at=NOW)
    assert retry_all(requeue, store) == {"requeued": 1}
    (row,) = rows(store).values()
    assert (row.state, row.person, row.due_at) == ("pending", "", LATER)


def test_what_failed_and_waits_is_due_now(store: Store, requeue: Requeue) -> None:
    store.put([message("m0")])
    lease = claim(store)
    (claimed,) = lease.messages
    reschedule(store, lease, {claimed.id: LATER + 900}, Attempt(NOW, "HTTP 500"))
    before = rows(store)["m0"]
    assert retry_all(requeue, store) == {"requeued": 1}
    history = before.history + BY_HAND
    assert same_but(rows(store)["m0"]) == same_but(before, due_at=LATER, history=history)


def test_what_waits_without_having_failed_is_left_alone(store: Store, requeue: Requeue) -> None:
    store.put([message("m0")])
    change(store, due_at=LATER + 900)
    before = rows(store)
    assert retry_all(requeue, store) == {"left alone": 1}
    assert rows(store) == before


def test_what_is_being_sent_is_left_alone(store: Store, requeue: Requeue) -> None:
    store.put([message("m0")])
    claim(store, now=LATER)
    change(store, reason="HTTP 500")
    before = rows(store)
    assert retry_all(requeue, store) == {"left alone": 1}
    assert rows(store) == before


def test_a_destination_that_may_be_at_work_on_it_gets_its_time(store: Store) -> None:
    requeue = Requeue(store.engine, "segment", translate, delay=600)
    store.put([message("soon"), message("later")])
    change(store, reason="HTTP 500", due_at=LATER + 599)
    with store.engine.begin() as connection:
        is_later = events.c.message_id == "later"
        connection.execute(update(events).where(is_later).values(due_at=LATER + 9_000))
    assert retry_all(requeue, store) == {"left alone": 1, "requeued": 1}
    due = {name: row.due_at for name, row in rows(store).items()}
    assert due == {"soon": LATER + 599, "later": LATER + 600}


def test_events_of_another_destination_are_left_alone(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    change(store, destination="drip")
    before = rows(store)
    assert retry_all(requeue, store) == {"left alone": 1}
    (row,) = before.values()
    assert requeue.dismiss([row.id], NOW) == 0
    assert rows(store) == before


def test_only_what_an_operator_has_to_look_after_is_dismissed(
    store: Store, requeue: Requeue
) -> None:
    bury(store, 1)
    store.put([set_aside("raw", b""), message("waits")])
    ids = [row.id for row in rows(store).values()]
    assert requeue.dismiss(ids, LATER) == 2
    assert requeue.dismiss(ids, LATER + 1) == 0
    dismissed = {name: row.dismissed_at for name, row in rows(store).items()}
    assert dismissed == {"m0": LATER, "raw": LATER, "waits": None}


def test_two_that_retry_at_once_share_the_work(store: Store, database_url: URL) -> None:
    bury(store, 1_000)
    ids = [row.id for row in rows(store).values()]
    engines = [open_database(database_url) for _ in range(4)]

    def retry(engine: Any) -> int:
        requeue = Requeue(engine, "segment", translate)
        steps = (ids[first : first + 100] for first in range(0, 1_000, 100))
        return sum(requeue.some(step, LATER)["requeued"] for step in steps)

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(retry, engines))
    for engine in engines:
        engine.dispose()
    assert sum(counts) == 1_000
    kept = rows(store).values()
    assert {row.state for row in kept} == {"pending"}
    assert {(row.history or "").count("retried by hand") for row in kept} == {1}


# what was rejected


def test_what_can_be_read_now_is_pending_as_if_it_had_just_come(
    store: Store, requeue: Requeue
) -> None:
    store.put([set_aside("raw-1", body())])
    call = translated(body(), NOW)

    assert retry_all(requeue, store) == {"requeued": 1}

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
        "reason": None,
        "settled_at": None,
        "dismissed_at": None,
        "collection": "Email Opened",
        "email": "ana@example.com",
        "history": None,
        "person": None,
    }


def test_what_goes_with_a_message_comes_with_it(store: Store) -> None:
    def read(raw: bytes, received_at: float, account: str) -> Message:
        kept = message("m1", account=account, raw=raw, received_at=received_at)
        follow_up = message("m1/campaign", account=account, payload='"join"', person="")
        return kept._replace(ahead=(message("m1/identify"),), follow_ups=(follow_up,))

    store.put([set_aside("raw-1", b"body")])
    requeue = Requeue(store.engine, store.destination, read)
    assert retry_all(requeue, store) == {"requeued": 1}
    assert list(rows(store)) == ["m1/identify", "m1", "m1/campaign"]
    second = rows(store)["m1/campaign"]
    assert (second.payload, second.raw, second.person) == ('"join"', b"body", "")


def test_the_time_of_receipt_replaces_a_missing_one(store: Store, requeue: Requeue) -> None:
    timeless = json.dumps({**OPENED, "occurred_at": None}).encode()
    store.put([set_aside("raw-1", timeless)])
    retry_all(requeue, store)
    (row,) = rows(store).values()
    assert json.loads(row.payload)["timestamp"] == "1970-01-12T13:46:40.000+00:00"


def test_each_rejected_event_has_its_own_outcome(store: Store, requeue: Requeue) -> None:
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

    assert retry_all(requeue, store) == {
        "left alone": 1,
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
    assert left.reason.startswith("body: Not JSON")


def test_an_event_refused_by_the_database_stops_no_other(tmp_path: Path) -> None:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)
    store = Store(engine, "segment")
    store.put([set_aside(f"q{n}", body(n)) for n in range(3)])
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN (SELECT count(*) FROM events"
            " WHERE state = 'pending') = 1 BEGIN SELECT raise(ABORT, ''); END"
        )

    outcomes = retry_all(Requeue(engine, "segment", translate), store)
    assert outcomes == {"requeued": 1, "unreadable": 2}
    engine.dispose()


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
    assert retry_all(requeue, store) == {"unreadable": 1, "requeued": 1}
    assert rows(store)["raw-1"].state == "quarantined"


def test_one_that_was_erased_meanwhile_does_not_come_back(store: Store) -> None:
    store.put([set_aside("raw-1", body())])
    (id_,) = (row.id for row in rows(store).values())
    change(store, state="erased")
    before = rows(store)

    retranslation = Retranslation(store.engine, "segment", translate)
    assert retranslation.again(id_, LATER) == "gone"
    assert retranslation.release(id_, message("drip-1"), LATER) is None
    assert retranslation.discard(id_) is False
    assert retranslation.explain(id_, {"body": []}) is False

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
    assert retry_all(requeue, store) == {"gone": 1}
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
            # in the other order than they are retried in, and with a re-send of the raw body
            group = [message(c.message_id) for c in reversed(calls[start : start + 10])]
            again = [set_aside(f"raw-{n}", body(n)) for n in range(start, start + 10)]
            try:
                new.update(Store(engines[0], "segment").put([*group, *again]))
            except Exception as error:  # noqa: BLE001 - the thread's, for the test to tell
                failed.append(error)

    def retry(engine: Any) -> Counter[Outcome]:
        rejected = select(events.c.id).where(events.c.state == "quarantined")
        with engine.connect() as connection:
            ids = connection.scalars(rejected).all()
        return Requeue(engine, "segment", translate).some(ids, LATER)

    putting = threading.Thread(target=put_them)
    putting.start()
    with ThreadPoolExecutor(2) as pool:
        outcomes = sum(pool.map(retry, engines[1:]), Counter())
    putting.join()
    retry(engines[1])  # raw bodies that came again behind the retry
    for engine in engines:
        engine.dispose()

    assert failed == []
    assert set(rows(store)) == {call.message_id for call in calls}
    assert outcomes["requeued"] + len(new & {c.message_id for c in calls}) == count


def test_a_named_event_is_retried_whatever_its_state(store: Store, requeue: Requeue) -> None:
    bury(store, 1)
    store.put([set_aside("raw-1", body()), message("waits")])
    outcomes = {name: requeue.one(name, LATER) for name in ("m0", "raw-1", "waits", "nobody")}
    assert outcomes == {
        "m0": "requeued",
        "raw-1": "requeued",
        "waits": "left alone",
        "nobody": "unknown",
    }
    assert {row.state for row in rows(store).values()} == {"pending"}
