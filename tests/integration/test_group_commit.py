"""Many puts share a commit, and what put returned for is on disk."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.engine import URL, make_url

from app.concurrency import THREADS
from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import events
from app.errors import ContentRejected, OutboxUnavailable
from app.outbox import group_commit
from app.outbox.group_commit import GroupCommit
from app.outbox.messages import Message
from app.outbox.search import Wanted
from app.outbox.store import Store
from tests.support.builders import message, messages, rows, search_over

Answer = bool | OutboxUnavailable


@pytest.fixture
def outbox(store: Store) -> GroupCommit:
    return GroupCommit(store)


@pytest.fixture
def other(database_url: URL) -> Iterator[Engine]:
    """Another process's way to the same database."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


def put(outbox: GroupCommit, each: Message) -> Answer:
    try:
        return outbox.put(each)
    except OutboxUnavailable as error:
        return error


@contextmanager
def nobody_else_writes(engine: Engine) -> Iterator[Connection]:
    """Whatever is put waits until the block ends."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("LOCK TABLE events IN EXCLUSIVE MODE"))
        yield connection


def put_together(
    outbox: GroupCommit, those: list[Message], other: Engine, meanwhile: str = "SELECT 1"
) -> list[Answer]:
    """Put each from a thread of its own, none of which is answered before all are waiting."""
    at_once = threading.Barrier(len(those) + 1)

    def put_one(each: Message) -> Answer:
        at_once.wait()
        return put(outbox, each)

    with ThreadPoolExecutor(len(those)) as pool:
        with nobody_else_writes(other) as connection:
            answers = [pool.submit(put_one, each) for each in those]
            at_once.wait()
            time.sleep(0.1)  # into the queue, whose length nobody can see
            connection.execute(text(meanwhile))
        return [answer.result() for answer in answers]


def count(engine: Engine) -> int:
    with engine.begin() as connection:
        return connection.execute(select(func.count()).select_from(events)).scalar_one()


def test_the_first_put_is_new_and_its_repeat_is_not(outbox: GroupCommit) -> None:
    assert outbox.put(message("a")) is True
    assert outbox.put(message("a")) is False


def test_no_thread_runs_before_the_first_put(store: Store) -> None:
    before = threading.active_count()

    GroupCommit(store)

    assert threading.active_count() == before


def test_what_put_returned_for_is_committed(outbox: GroupCommit, other: Engine) -> None:
    for number in range(20):
        outbox.put(message(f"m{number}"))
        assert count(other) == number + 1


def test_puts_that_wait_together_share_a_commit(
    outbox: GroupCommit, engine: Engine, other: Engine
) -> None:
    outbox.put(message("the first, which starts the writer"))
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)

    answers = put_together(outbox, messages(60), other)

    assert answers == [True] * 60
    assert count(other) == 61
    assert 1 <= len(commits) <= 10


def test_one_of_the_copies_in_a_group_is_new(outbox: GroupCommit, other: Engine) -> None:
    outbox.put(message("the first, which starts the writer"))

    answers = put_together(outbox, [message("the same", raw=b"%d" % n) for n in range(50)], other)

    assert sorted(map(bool, answers)) == [False] * 49 + [True]
    assert count(other) == 2


def test_more_than_one_group_holds_are_all_kept(
    outbox: GroupCommit, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 7)

    assert put_together(outbox, messages(40), other) == [True] * 40
    assert count(other) == 40


def test_a_database_that_fails_fails_all_who_wait(outbox: GroupCommit, other: Engine) -> None:
    outbox.put(message("before"))
    those = [message(f"canary{n}", raw=b"canary") for n in range(20)]

    answers = put_together(outbox, those, other, meanwhile="ALTER TABLE events RENAME TO gone")

    assert [type(answer) for answer in answers] == [OutboxUnavailable] * 20
    assert "canary" not in str(answers)
    assert "events" in str(answers[0])


def test_many_of_one_caller_are_kept_with_one_commit(
    outbox: GroupCommit, engine: Engine, other: Engine
) -> None:
    outbox.put(message("m3"))
    commits: list[Connection] = []
    event.listen(engine, "commit", commits.append)

    new = outbox.put_all([*messages(4_000), message("m5", raw=b"a copy")])

    assert new == {f"m{n}" for n in range(4_000)} - {"m3"}
    assert len(commits) == 1
    assert count(other) == 4_000
    assert outbox.put_all(messages(4_000)) == set()


def test_nothing_to_keep_needs_no_database() -> None:
    engine = open_database(make_url("sqlite:///no-such-folder/bridge.db"))
    assert GroupCommit(Store(engine, "segment")).put_all([]) == set()


def test_callers_with_many_and_with_few_are_all_answered(
    outbox: GroupCommit, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LARGEST_GROUP", 7)
    those = messages(60)
    callers = [those[:3], those[3:13], those[13:14], those[14:20], those[20:50], those[40:60]]
    with ThreadPoolExecutor(len(callers)) as pool:
        with nobody_else_writes(other):
            answers = [pool.submit(outbox.put_all, each) for each in callers]
            time.sleep(0.1)  # into the queue, whose length nobody can see
        new = [answer.result() for answer in answers]

    assert sum(map(len, new)) == count(other) == 60  # each of the copies is new for one caller
    assert set().union(*new) == {each.message_id for each in those}


def test_what_goes_together_is_kept_in_its_order(outbox: GroupCommit, store: Store) -> None:
    first = message("a", ahead=(message("a/0"),), follow_ups=(message("a/1"), message("a/2")))

    assert outbox.put_all([first, message("b"), first]) == {"a", "a/0", "a/1", "a/2", "b"}
    assert outbox.put(message("c", follow_ups=(message("c/1"),))) is True
    assert outbox.put(first) is False
    assert list(rows(store)) == ["a/0", "a", "a/1", "a/2", "b", "c", "c/1"]


def test_many_are_kept_apart_from_the_loop(outbox: GroupCommit) -> None:
    apart: list[int] = []

    def call_apart(call: Callable[[], Any]) -> Any:
        apart.append(threading.get_ident())
        return call()

    outbox.use(replace(THREADS, call_apart=call_apart))
    outbox.put(message("a"))  # makes the database ready, which is done apart too
    apart.clear()
    outbox.put_all(messages(200))
    assert apart == []
    outbox.put_all([message(f"n{n}") for n in range(201)])
    assert len(apart) == 1
    outbox.put(message("large", raw=bytes(3 << 20)))
    assert len(apart) == 2


def test_a_full_quarantine_holds_up_no_readable_message(
    outbox: GroupCommit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.quarantine.MOST_BYTES", 3_000)
    unreadable = [message(f"q{n}", payload=None, raw=b"x" * 500) for n in range(3)]
    assert outbox.put_all([message("a"), unreadable[0]]) == {"a", "q0"}

    with pytest.raises(OutboxUnavailable, match="quarantine is full"):
        outbox.put_all([message("b"), *unreadable[1:], message("c")])

    assert list(rows(store)) == ["a", "q0", "b", "c"]
    assert outbox.put_all([message("d"), unreadable[1]]) == {"d", "q1"}  # alone it has room


def test_what_the_database_refuses_costs_the_caller_alone(
    outbox: GroupCommit, other: Engine
) -> None:
    outbox.put(message("the first, which starts the writer"))
    refused = message("canary")._replace(received_at=None)  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        with nobody_else_writes(other):
            bad = pool.submit(outbox.put_all, [*messages(10), refused])
            good = pool.submit(outbox.put_all, [message("x"), message("y")])
            time.sleep(0.1)  # into the queue, whose length nobody can see
        assert good.result() == {"x", "y"}
        with pytest.raises(ContentRejected):
            bad.result()
    assert count(other) == 3


def test_what_the_database_refuses_costs_no_neighbour(outbox: GroupCommit, other: Engine) -> None:
    outbox.put(message("the first, which starts the writer"))
    refused = message("canary")._replace(received_at=None)  # type: ignore[arg-type]

    answers = put_together(outbox, [*messages(30), refused, message("m3")], other)

    assert answers.count(True) == 30
    assert answers[-1] is False or answers[3] is False  # of two copies one is kept
    assert isinstance(answers[30], ContentRejected)
    assert "canary" not in str(answers[30])
    assert count(other) == 31
    assert outbox.put(message("after")) is True


@pytest.mark.parametrize("letters", [10_000, 900_000])
def test_an_address_of_any_length_is_kept_and_found(
    outbox: GroupCommit, engine: Engine, letters: int
) -> None:
    # no letters that PostgreSQL could press together
    long = "".join(map(chr, random.Random(1).choices(range(97, 123), k=letters))) + "@example.com"

    assert outbox.put(message("long")._replace(email=long)) is True

    found = search_over(engine).find(Wanted(email=long), limit=2)
    assert [event.message_id for event in found] == ["long"]


def test_the_next_put_works_once_the_database_is_back(outbox: GroupCommit, other: Engine) -> None:
    outbox.put(message("before"))
    put_together(outbox, messages(5), other, meanwhile="ALTER TABLE events RENAME TO gone")
    with other.begin() as connection:
        connection.execute(text("ALTER TABLE gone RENAME TO events"))

    assert outbox.put(message("m0")) is True
    assert count(other) == 2


def test_a_fault_outside_the_database_is_logged_unquoted(
    outbox: GroupCommit,
) -> None:
    answer = put(outbox, message("canary\ud800", raw=b"{}"))

    assert isinstance(answer, OutboxUnavailable)
    assert "canary" not in str(answer)
    assert outbox.put(message("a")) is True


def test_the_wait_is_bounded(
    outbox: GroupCommit, other: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch, nobody_else_writes(other):
        patch.setattr(group_commit, "LONGEST_WAIT", 0.1)
        started = time.monotonic()
        with pytest.raises(OutboxUnavailable, match=r"no commit within 0\.1 s"):
            outbox.put(message("a"))
        assert time.monotonic() - started < 2

    # it was kept after all, so that the sender's next try is a repeat
    assert outbox.put(message("a")) is False
    assert count(other) == 1


def test_an_empty_sqlite_file_is_made_ready_by_the_first_put(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    engine = open_database(make_url(f"sqlite:///{folder}/bridge.db"))

    assert GroupCommit(Store(engine, "segment")).put(message("a")) is True
    engine.dispose()


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Engine]:
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


def test_an_old_schema_is_reported_with_the_command_to_run(postgresql: Engine) -> None:
    outbox = GroupCommit(Store(postgresql, "segment"))

    with pytest.raises(OutboxUnavailable, match="Run: flask db upgrade"):
        outbox.put(message("a"))

    upgrade(postgresql)
    assert outbox.put(message("a")) is True


def test_a_connection_cut_during_a_commit_is_logged_and_mended(
    postgresql: Engine, postgres_url: str
) -> None:
    upgrade(postgresql)
    outbox = GroupCommit(Store(postgresql, "segment"))
    outbox.put(message("before"))

    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(postgres_url, autocommit=True) as admin,
        nobody_else_writes(postgresql),
    ):
        answer = pool.submit(put, outbox, message("a"))
        cut_the_one_that_waits(admin)
        assert isinstance(answer.result(), OutboxUnavailable)

    assert outbox.put(message("a")) is True
    assert count(postgresql) == 2


def cut_the_one_that_waits(admin: psycopg.Connection) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        cut = admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        if cut.fetchall():
            return
    raise AssertionError("nobody waits for a lock")
