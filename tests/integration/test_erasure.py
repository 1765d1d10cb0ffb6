"""An erasure takes every trace of a person, and nothing of anybody else."""

import json
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.database.tables import events
from app.monitoring.alert_store import AlertStore, Trouble
from app.outbox import erasure as erasing
from app.outbox.erasure import LOG_IN_USE, ROUNDS, Erasure
from app.outbox.mentions import CLEARED
from app.outbox.messages import Attempt, read_history
from app.outbox.store import Store
from tests.support.builders import (
    ACCOUNT,
    LATER,
    NOW,
    claim,
    mark_dead,
    mark_sent,
    message,
    reschedule,
    rows,
    same_but,
)
from tests.support.clock import Clock
from tests.support.databases import put_schema
from tests.support.whole_rows import put_whole

WHERE_TWO_WRITE_AT_ONCE = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


ANA = "ana@example.com"


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
    store.put([message("ana", **TRACES[trace]), message("hanna", email="hanna@example.com")])
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
        store.put([message(name, email=ANA)])
        lease = claim(store)
        mark_sent(store, lease, NOW) if name == "sent" else mark_dead(
            store, lease, Attempt(NOW, "no", "")
        )
    store.put([message("q", payload=None, email=ANA), message("p", email=ANA), message("other")])

    assert erase(store, clock) == {"sent": 1, "dead": 1, "quarantined": 1, "pending": 1}
    assert erase(store, clock) == {}
    states = {name: row.state for name, row in rows(store).items()}
    assert states == dict.fromkeys(("sent", "dead", "q", "p"), "erased") | {"other": "pending"}


def test_a_re_send_of_what_was_erased_is_a_duplicate(store: Store, clock: Clock) -> None:
    store.put([message("a", email=ANA)])
    erase(store, clock)
    assert store.put([message("a", email=ANA)]) == set()
    assert store.due_accounts(LATER) == []
    assert rows(store)["a"].email is None


def test_many_are_erased_also_those_that_come_meanwhile(store: Store, clock: Clock) -> None:
    store.put([message(f"m{n}", email=ANA if n % 2 else None) for n in range(1_000)])
    erasure = erasure_of(store, clock)
    assert erasure.look() == {"pending": 500}
    store.put([message("since", email=ANA)])
    assert erasure.erase() == {"pending": 501}
    assert Counter(row.state for row in rows(store).values()) == {"pending": 500, "erased": 501}


def test_an_event_that_is_being_sent_is_settled_first(store: Store, clock: Clock) -> None:
    store.put([message("a", email=ANA)])
    lease = claim(store)
    settled: list[int] = []
    clock.happens = [(NOW + 5, lambda: settled.append(mark_sent(store, lease, clock())))]
    erasure = erasure_of(store, clock)

    assert erasure.look() == {"pending": 1}
    assert erasure.erase() == {"sent": 1}

    assert settled == [1]
    assert clock.now == NOW + 5


def test_an_event_of_a_dead_deliverer_is_erased_after_its_lease(store: Store, clock: Clock) -> None:
    store.put([message("a", email=ANA)])
    claim(store)
    assert erase(store, clock) == {"pending": 1}
    assert clock.now == NOW + 30


def test_a_lease_without_end_is_not_waited_for_without_end(store: Store, clock: Clock) -> None:
    store.put([message("a", email=ANA)])
    lease = store.claim([ACCOUNT], NOW, NOW + 1e6, 100, 10_000)
    assert erase(store, clock) == {"pending": 1}
    assert clock.now == NOW + ROUNDS / 2
    assert mark_sent(store, lease, clock()) == 0
    assert rows(store)["a"].state == "erased"


def test_words_of_segment_about_a_person_are_erased(store: Store, clock: Clock) -> None:
    """One answer is kept with each event of its batch."""
    others = [message(f"m{n}", email=f"bo{n}@example.com") for n in range(30)]
    store.put([message("ana", email=ANA), *others])
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
        assert row.reason == f"HTTP 503: {CLEARED}"
        cleared = {"history": row.history, "error": row.error, "reason": row.reason}
        assert same_but(row) == same_but(before[one.message_id], **cleared)
    assert len(claim(store).messages) == 30


def test_words_that_come_while_others_are_sent_are_erased(store: Store, clock: Clock) -> None:
    store.put([message("bo", email="bo@example.com"), message("ana", email=ANA)])
    lease = claim(store)
    due = {e.id: NOW for e in lease.messages}
    said = Attempt(NOW, "HTTP 503", f"busy, {ANA}")
    clock.happens = [(NOW + 5, lambda: reschedule(store, lease, due, said))]
    assert erasure_of(store, clock).erase() == {"pending": 1}
    assert [event.message_id for event in claim(store).messages] == ["bo"]
    assert ANA not in str(rows(store)["bo"])


def test_another_persons_event_is_kept_without_the_address(store: Store, clock: Clock) -> None:
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
            message("bo", **bo, payload=json.dumps(call)),
            message("in the body alone", **bo, payload=json.dumps({**call, "properties": {}})),
            message("of one with two addresses", **bo, payload=hers),
            message("of who knows whom", raw=raw, payload=json.dumps(call)),
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


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        (
            {"event": {"action": "Shared", "properties": {"a": 1, "with": ANA}}},
            {"event": {"action": "Shared", "properties": {"a": 1}}},
        ),
        (
            {"subscriber": {"custom_fields": {"a": 1, "boss": ANA}, "city": "Lima"}},
            {"subscriber": {"custom_fields": {"a": 1}, "city": "Lima"}},
        ),
        ({"left_out": {"traits.a": f"no date: {ANA}"}, "event": 1}, {"left_out": {}, "event": 1}),
        # whose it is cannot be said, or what is left would make no sense
        ({"event": {"action": ANA}}, None),
        ({"who": [["email", "bo@example.com"], ["user", ANA]]}, None),
        ([ANA], None),
    ],
)
def test_calls_of_any_kind_are_kept_without_the_address_or_erased(
    store: Store, clock: Clock, call: Any, kept: Any
) -> None:
    store.put([message("bo", email="bo@example.com", payload=json.dumps(call))])
    assert erasure_of(store, clock).erase() == ({} if kept else {"pending": 1})
    payload = rows(store)["bo"].payload
    assert (payload and json.loads(payload)) == kept


def test_what_is_noted_of_trouble_is_cleared_of_the_address(store: Store, clock: Clock) -> None:
    """No such words are noted today."""
    book = AlertStore(store.engine)
    texts = {"a": f"Look after {ANA}", "b": "Look"}
    book.note([Trouble(name, text, "over", 1, NOW) for name, text in texts.items()], set(), NOW)
    erase(store, clock)
    noted_texts = set()
    while notice := book.claim(NOW, NOW + 1):
        noted_texts.add(notice.text)
    assert noted_texts == {CLEARED, "Look"}


@WHERE_TWO_WRITE_AT_ONCE
def test_what_another_has_locked_is_left_and_counted(
    store: Store, clock: Clock, database_url: URL
) -> None:
    store.put([message("a", email=ANA)])
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
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    put_schema(url)
    engine = open_database(url)
    yield Store(engine, "segment")
    engine.dispose()


def live(store: Store) -> None:
    """Events of two people and more, through all that befalls events, in rows of every size."""
    for n in range(400):
        who = ANA if n % 3 == 0 else f"bo{n}@example.com"
        text = who + "!" + "x" * (n * 37 % 9_000)
        store.put([message(f"m{n}", email=who, raw=text.encode(), payload=json.dumps([text]))])
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


def test_writers_wait_while_the_file_is_rewritten(sqlite_store: Store, clock: Clock) -> None:
    for n in range(20):
        sqlite_store.put([message(f"{n}-{m}", raw=b"x" * 5_000) for m in range(200)])
    other, done = open_database(sqlite_store.engine.url), threading.Event()
    puts: list[set[str]] = []

    def put_on_and_on() -> None:
        while not done.is_set():
            puts.append(Store(other, "segment").put([message(f"w{len(puts)}")]))

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


def test_a_file_that_cannot_be_rewritten_is_reported(
    sqlite_store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.sqlite_file.BUSY_SECONDS", 0.2)
    erasure = erasure_of(sqlite_store, clock)
    with sqlite_store.engine.begin() as connection:
        connection.execute(update(events).values(tries=9))
        assert "OperationalError: database is locked. Erase again" in erasure.overwrite()
    assert erasure.overwrite() == ""


def test_a_reader_that_holds_on_to_the_log_is_reported(
    sqlite_store: Store, clock: Clock, tmp_path: Path
) -> None:
    sqlite_store.put([message("a", email=ANA)])
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
