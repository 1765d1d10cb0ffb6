"""Requeue gives events another go, erase takes every trace; neither doubles nor loses anything."""

import json
import random
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
from app.database.tables import events, pauses
from app.drip_to_segment.schema import body_to_event
from app.drip_to_segment.translate import translate
from app.monitoring.alert_store import AlertStore
from app.outbox import erasure as erasing
from app.outbox import requeue as requeueing
from app.outbox.batches import in_batches
from app.outbox.erasure import LOG_IN_USE, ROUNDS, Erasure
from app.outbox.mentions import CLEARED
from app.outbox.messages import Attempt, Message, attempt_to_line, read_history
from app.outbox.requeue import START, Outcome, Requeue
from app.outbox.store import Store
from tests.bridge_process import ROOT
from tests.support.builders import mark_dead, mark_sent, reschedule, translated
from tests.test_store import (
    ACCOUNT,
    NOW,
    arrival,
    arrivals,
    claim,
    rows,
    rows_on_postgresql,
    same_but,
    statement_of,
    steps_on_sqlite,
)
from tests.whole_rows import put_whole

OPENED = json.loads((ROOT / "samples" / "opened_email.json").read_text())
OPENED["data"]["subscriber"]["email"] = "Ana@Example.com"
LATER = NOW + 100


def body(n: int = 0) -> bytes:
    """An email event that can be read."""
    return json.dumps({**OPENED, "data": {**OPENED["data"], "properties": {"n": n}}}).encode()


def set_aside(name: str, raw: bytes, received_at: float = NOW) -> Message:
    """As quarantined by a version that could not read it."""
    return arrival(
        name, account="", payload=None, raw=raw, errors={"body": ["?"]}, received_at=received_at
    )


@pytest.fixture
def requeue(store: Store) -> Requeue:
    return Requeue(store.engine, "segment", translate)


def no_wait(_: float) -> None:
    """Tests are in a hurry."""


def read_again(requeue: Requeue) -> Counter[Outcome]:
    return requeue.requeue_quarantined(LATER, no_wait)


def bury(store: Store, count: int) -> None:
    store.put(arrivals(count))
    mark_dead(store, claim(store, most_events=count), Attempt(NOW, "HTTP 400 no", ""))


def test_one_event_that_is_refused_by_the_database_does_not_stop_the_rest(
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
    store.put([arrival("other")])
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
    }


def test_the_time_of_receipt_stands_in_for_one_that_drip_left_out(
    store: Store, requeue: Requeue
) -> None:
    timeless = json.dumps({**OPENED, "occurred_at": None}).encode()
    store.put([set_aside("raw-1", timeless)])
    read_again(requeue)
    (row,) = rows(store).values()
    assert json.loads(row.payload)["timestamp"] == "1970-01-12T13:46:40.000+00:00"


def test_each_quarantined_event_ends_where_it_belongs(store: Store, requeue: Requeue) -> None:
    call = translated(body(2), NOW)
    store.put([arrival(call.message_id)])
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


def test_a_fault_of_the_bridge_leaves_an_event_where_it_is(
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

    assert requeue.release(kept.id, arrival("drip-1"), LATER) is None
    assert requeue.discard(kept.id) is False
    assert requeue.explain(kept.id, {"body": []}) is False

    assert rows(store) == before


WHERE_TWO_WRITE_AT_ONCE = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@WHERE_TWO_WRITE_AT_ONCE
def test_one_that_is_erased_while_it_is_released_does_not_come_back(
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


def test_webhooks_that_bring_the_same_events_meanwhile_make_none_twice(
    store: Store, database_url: URL
) -> None:
    count = 120
    calls = [translated(body(n), NOW) for n in range(count)]
    store.put([set_aside(f"raw-{n}", body(n)) for n in range(count)])
    engines = [open_database(database_url) for _ in range(3)]
    new: set[str] = set()
    failed: list[Exception] = []

    def put_them() -> None:
        for start in range(0, count, 10):
            # in the other order than they are requeued in, and with a re-send of the raw body
            group = [arrival(c.message_id) for c in reversed(calls[start : start + 10])]
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
    store.put([set_aside("raw-1", body()), arrival("waits")])
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


# erase

ANA = "ana@example.com"


class Clock:
    """Goes on by what is waited, and lets something happen meanwhile."""

    def __init__(self) -> None:
        self.now = NOW
        self.happens: list[tuple[float, Any]] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self.happens and self.happens[0][0] <= self.now:
            self.happens.pop(0)[1]()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def erasure_of(store: Store, clock: Clock, address: str = ANA) -> Erasure:
    return Erasure(store.engine, address, clock, clock.wait)


def erase(store: Store, clock: Clock, address: str = ANA) -> Counter[str]:
    erasure = erasure_of(store, clock, address)
    found = erasure.look()
    assert erasure.erase() == found
    assert erasure.left == 0
    return found


TRACES: dict[str, dict[str, Any]] = {
    "column": {"email": "Ana@example.com"},
    "raw": {"raw": b'{"n": 1, "to": "ANA@example.com"}'},
    "key": {"raw": b'{"ana@example.com": 1}'},
    "first of two": {"raw": b'{"a": "ana@example.com", "a": 1}'},
    "deep": {"raw": b"[" * 50_000 + b'"ana@example.com"' + b"]" * 50_000},
    "within": {"raw": b'{"url": "https://e.example/?u=ana%40example.com&x"}'},
    "escaped": {"raw": b'{"a": "\\u0061na\\u0040example.com"}'},
    "payload": {"payload": '{"userId": "u", "x": ["\\nana@example.com"]}'},
    "broken": {"payload": None, "raw": b'{"a": "ana@example.com'},
    "wide": {"payload": None, "raw": "{ana@example.com".encode("utf-16")},
}


@pytest.mark.parametrize("trace", TRACES)
def test_an_event_is_erased_wherever_the_address_is(store: Store, clock: Clock, trace: str) -> None:
    store.put([arrival("ana", **TRACES[trace]), arrival("hanna", email="hanna@example.com")])
    before = rows(store)
    clock.now = LATER

    assert erase(store, clock).total() == 1

    after = rows(store)
    erased = {"state": "erased", "settled_at": LATER, "payload": None}
    gone = {"raw": b"", "email": None, "error": None, "lease": None}
    assert same_but(after["ana"]) == same_but(before["ana"], **erased, **gone)
    assert after["hanna"] == before["hanna"]


def test_events_of_every_state_are_erased_and_counted_once(store: Store, clock: Clock) -> None:
    for name in ("sent", "dead"):
        store.put([arrival(name, email=ANA)])
        lease = claim(store)
        mark_sent(store, lease, NOW) if name == "sent" else mark_dead(
            store, lease, Attempt(NOW, "no", "")
        )
    store.put([arrival("q", payload=None, email=ANA), arrival("p", email=ANA), arrival("other")])

    assert erase(store, clock) == {"sent": 1, "dead": 1, "quarantined": 1, "pending": 1}
    assert erase(store, clock) == {}
    states = {name: row.state for name, row in rows(store).items()}
    assert states == dict.fromkeys(("sent", "dead", "q", "p"), "erased") | {"other": "pending"}


def test_a_re_send_of_what_was_erased_is_a_duplicate(store: Store, clock: Clock) -> None:
    store.put([arrival("a", email=ANA)])
    erase(store, clock)
    assert store.put([arrival("a", email=ANA)]) == set()
    assert store.due_accounts(LATER) == []
    assert rows(store)["a"].email is None


def test_many_are_erased_over_many_pages_and_those_that_come_meanwhile(
    store: Store, clock: Clock
) -> None:
    store.put([arrival(f"m{n}", email=ANA if n % 2 else None) for n in range(1_000)])
    erasure = erasure_of(store, clock)
    assert erasure.look() == {"pending": 500}
    store.put([arrival("since", email=ANA)])
    assert erasure.erase() == {"pending": 501}
    assert Counter(row.state for row in rows(store).values()) == {"pending": 500, "erased": 501}


def test_an_event_that_is_being_sent_is_settled_first(store: Store, clock: Clock) -> None:
    store.put([arrival("a", email=ANA)])
    lease = claim(store)
    settled: list[int] = []
    clock.happens = [(NOW + 5, lambda: settled.append(mark_sent(store, lease, clock())))]
    erasure = erasure_of(store, clock)

    assert erasure.look() == {"pending": 1}
    assert erasure.erase() == {"sent": 1}

    assert settled == [1]
    assert clock.now == NOW + 5


def test_an_event_whose_deliverer_died_is_erased_at_the_leases_end(
    store: Store, clock: Clock
) -> None:
    store.put([arrival("a", email=ANA)])
    claim(store)
    assert erase(store, clock) == {"pending": 1}
    assert clock.now == NOW + 30


def test_a_lease_without_end_is_not_waited_for_without_end(store: Store, clock: Clock) -> None:
    store.put([arrival("a", email=ANA)])
    lease = store.claim([ACCOUNT], NOW, NOW + 1e6, 100, 10_000)
    assert erase(store, clock) == {"pending": 1}
    assert clock.now == NOW + ROUNDS / 2
    assert mark_sent(store, lease, clock()) == 0
    assert rows(store)["a"].state == "erased"


def test_what_segment_said_of_a_person_goes_and_other_peoples_events_are_sent(
    store: Store, clock: Clock
) -> None:
    """One answer is kept with each event of its batch."""
    others = [arrival(f"m{n}", email=f"bo{n}@example.com") for n in range(30)]
    store.put([arrival("ana", email=ANA), *others])
    for words in (f"busy, {ANA.upper()}", "busy"):
        lease = claim(store)
        reschedule(
            store, lease, {e.id: NOW for e in lease.messages}, Attempt(NOW, "HTTP 503", words)
        )
    lease = claim(store)
    reschedule(
        store, lease, {e.id: NOW for e in lease.messages}, Attempt(NOW, "HTTP 503", f"busy, {ANA}")
    )
    before = rows(store)

    erasure = erasure_of(store, clock)
    assert erasure.look() == {"pending": 1}
    assert len(erasure.others) == 30
    assert erasure.erase() == {"pending": 1}

    after = rows(store)
    for one in others:
        row = after[one.message_id]
        said = [(attempt.reason, attempt.words) for attempt in read_history(row.history)]
        gone = ("HTTP 503", CLEARED)
        assert said == [gone, ("HTTP 503", "busy"), gone]
        assert row.error == f"HTTP 503 {CLEARED}"
        cleared = {"history": row.history, "error": row.error}
        assert same_but(row) == same_but(before[one.message_id], **cleared)
    assert len(claim(store).messages) == 30


def test_what_is_said_while_others_are_sent_goes_too(store: Store, clock: Clock) -> None:
    store.put([arrival("bo", email="bo@example.com"), arrival("ana", email=ANA)])
    lease = claim(store)
    due = {e.id: NOW for e in lease.messages}
    said = Attempt(NOW, "HTTP 503", f"busy, {ANA}")
    clock.happens = [(NOW + 5, lambda: reschedule(store, lease, due, said))]
    assert erasure_of(store, clock).erase() == {"pending": 1}
    assert [event.message_id for event in claim(store).messages] == ["bo"]
    assert ANA not in str(rows(store)["bo"])


def test_another_persons_event_that_mentions_the_address_is_kept_without_it(
    store: Store, clock: Clock
) -> None:
    call: dict[str, Any] = {
        "messageId": "bo",
        "context": {"traits": {"email": "bo@example.com"}},
        "properties": {"a": 1, "link": "https://e.example/?u=ana%40example.com", "b": ["é"]},
    }
    raw = json.dumps(call).encode()
    bo = {"email": "bo@example.com", "raw": raw}
    hers = json.dumps({**call, "userId": ANA})
    store.put(
        [
            arrival("bo", **bo, payload=json.dumps(call)),
            arrival("in the body alone", **bo, payload=json.dumps({**call, "properties": {}})),
            arrival("of one with two addresses", **bo, payload=hers),
            arrival("of who knows whom", raw=raw, payload=json.dumps(call)),
        ]
    )
    erasure = erasure_of(store, clock)
    assert erasure.look() == {"pending": 2}
    assert len(erasure.others) == 2
    assert erasure.erase() == {"pending": 2}

    kept = {event.message_id: event.payload for event in claim(store).messages}
    assert json.loads(kept["bo"]) == {**call, "properties": {"a": 1, "b": ["é"]}}
    assert json.loads(kept["in the body alone"]) == {**call, "properties": {}}
    assert len(kept) == 2
    for name in kept:
        assert rows(store)[name].raw == b""
    assert erasure_of(store, clock).look() == {}


def test_what_is_noted_of_trouble_is_cleared_of_the_address(store: Store, clock: Clock) -> None:
    """No such words are noted today."""
    for account in ("4417", ANA):
        store.pause_account(account, NOW, f"HTTP 403: {ANA}")
    store.pause_account("5150", NOW, "HTTP 401")
    book = AlertStore(store.engine)
    book.note({"a": f"Look after {ANA}", "b": "Look"}, set(), NOW)
    erase(store, clock)
    with store.engine.connect() as connection:
        noted = [row[:] for row in connection.execute(select(pauses).order_by("account"))]
    assert noted == [
        ("segment", "4417", NOW, CLEARED),
        ("segment", "5150", NOW, "HTTP 401"),
    ]
    noted_texts = set()
    while notice := book.claim(NOW, NOW + 1):
        noted_texts.add(notice.text)
    assert noted_texts == {CLEARED, "Look"}


@WHERE_TWO_WRITE_AT_ONCE
def test_what_another_has_locked_is_left_and_told(
    store: Store, clock: Clock, database_url: URL
) -> None:
    store.put([arrival("a", email=ANA)])
    other = open_database(database_url)
    with other.begin() as connection:
        connection.execute(update(events).values(tries=9))
        erasure = erasure_of(store, clock)
        assert erasure.erase() == {}
        assert erasure.left == 1
    other.dispose()
    assert erasure.erase() == {"pending": 1}


def files_with(folder: Path, trace: bytes) -> list[str]:
    return [
        file.name
        for file in folder.glob("bridge.db*")
        if trace in file.read_bytes().lower() and file.suffix != ".db-shm"
    ]


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Any:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)
    yield Store(engine, "segment")
    engine.dispose()


def live(store: Store) -> None:
    """Events of two people and more, through all that befalls events, in rows of every size."""
    for n in range(400):
        who = ANA if n % 3 == 0 else f"bo{n}@example.com"
        text = who + "!" + "x" * (n * 37 % 9_000)
        store.put([arrival(f"m{n}", email=who, raw=text.encode(), payload=json.dumps([text]))])
        if n % 5 == 4:
            lease = claim(store, most_events=4)
            first, rest = lease.only(lease.messages[:2]), lease.only(lease.messages[2:])
            reschedule(
                store, first, {e.id: NOW for e in first.messages}, Attempt(0.0, f"said {who}", "")
            )
            mark_dead(store, rest, Attempt(NOW, f"no {who}", "")) if n % 2 else mark_sent(
                store, rest, NOW
            )


def test_nothing_of_the_address_is_left_in_sqlites_files(
    sqlite_store: Store, clock: Clock, tmp_path: Path
) -> None:
    live(sqlite_store)
    assert files_with(tmp_path, ANA.encode())
    erasure = erasure_of(sqlite_store, clock)
    erasure.look()
    assert erasure.erase().total() == 134

    assert erasure.overwrite() == ""

    assert files_with(tmp_path, ANA.encode()) == []
    assert files_with(tmp_path, b"@example.com!") == ["bridge.db"]


def test_nothing_is_left_between_the_rows_of_sqlites_file(
    sqlite_store: Store, tmp_path: Path
) -> None:
    """SQLite moves rows about, and leaves what it moved where it was: here, one person of ten."""
    chance = random.Random(1)
    people = [f"person{n:03}@example.com" for n in range(100)]
    sent = {"account": ACCOUNT, "state": "sent", "tries": 1, "received_at": NOW, "due_at": NOW}
    kept = [
        {
            **sent,
            "id": n + 1,
            "message_id": f"m{n}",
            "email": people[n % 100],
            "payload": json.dumps([people[n % 100], "y" * chance.randrange(300)]),
            "raw": people[n % 100].encode(),
        }
        for n in range(400)
    ]
    chance.shuffle(kept)
    with sqlite_store.engine.begin() as connection:
        put_whole(connection, kept)
    for address in people[:10]:
        erasure = Erasure(sqlite_store.engine, address)
        erasure.erase()
    assert erasure.overwrite() == ""
    assert [one for one in people[:10] if files_with(tmp_path, one.encode())] == []
    assert files_with(tmp_path, people[10].encode()) == ["bridge.db"]


def test_writers_wait_while_the_file_is_written_anew_and_none_fails(
    sqlite_store: Store, clock: Clock
) -> None:
    for n in range(20):
        sqlite_store.put([arrival(f"{n}-{m}", raw=b"x" * 5_000) for m in range(200)])
    other, done = open_database(sqlite_store.engine.url), threading.Event()
    puts: list[set[str]] = []

    def put_on_and_on() -> None:
        while not done.is_set():
            puts.append(Store(other, "segment").put([arrival(f"w{len(puts)}")]))

    with ThreadPoolExecutor() as pool:
        putting = pool.submit(put_on_and_on)
        assert erasure_of(sqlite_store, clock).overwrite() in ("", LOG_IN_USE)
        done.set()
        putting.result()
    other.dispose()
    assert all(len(new) == 1 for new in puts)


def test_a_large_file_is_written_anew_only_when_asked_to(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "LARGEST", 0)
    erasure = erasure_of(sqlite_store, clock)
    assert "erase ADDRESS --vacuum" in erasure.overwrite()
    assert erasure.overwrite(also_large=True) == ""


def test_a_file_that_cannot_be_written_anew_is_told_of(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.sqlite_file.BUSY_SECONDS", 0.2)
    erasure = erasure_of(sqlite_store, clock)
    with sqlite_store.engine.begin() as connection:
        connection.execute(update(events).values(tries=9))
        assert "OperationalError: database is locked. Erase again" in erasure.overwrite()
    assert erasure.overwrite() == ""


def test_a_reader_that_holds_on_to_the_log_is_told_of(
    sqlite_store: Store, clock: Clock, tmp_path: Path
) -> None:
    sqlite_store.put([arrival("a", email=ANA)])
    other = open_database(sqlite_store.engine.url)
    with other.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("BEGIN")
        connection.exec_driver_sql("SELECT * FROM bodies").all()
        erasure = erasure_of(sqlite_store, clock)
        erasure.erase()
        assert erasure.overwrite() == LOG_IN_USE
        connection.exec_driver_sql("COMMIT")
    other.dispose()
    assert erasure.overwrite() == ""
    assert files_with(tmp_path, ANA.encode()) == []
