"""What ended long ago goes, and nobody waits for it."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, update
from sqlalchemy.engine import make_url

from app.config.schema import LEAST_DAYS
from app.database.engine import open_database
from app.database.schema import upgrade
from app.database.tables import bodies
from app.outbox.batches import STEP_BYTES
from app.outbox.erasure import Erasure
from app.outbox.pruning import DAY, STEP, Pruning
from app.outbox.store import Store
from tests.support.builders import ACCOUNT, NOW, message, no_wait, rows
from tests.support.cost import rows_on_postgresql, steps_on_sqlite
from tests.support.whole_rows import put_whole

SENT_DAYS, FAILED_DAYS = 7, 30


def put_settled(store: Store, count: int, state: str, settled_at: float | None) -> None:
    row = {
        "destination": store.destination,
        "account": ACCOUNT,
        "state": state,
        "raw": b"x" * 1_500,
        "received_at": 0.0,
        "due_at": 0.0,
        "tries": 1,
        "settled_at": settled_at,
    }
    names = (f"{state}{settled_at}-{n}" for n in range(count))
    with store.engine.begin() as connection:
        put_whole(connection, [{**row, "message_id": name} for name in names])


@pytest.fixture
def pruning(store: Store) -> Pruning:
    return Pruning(store.engine, SENT_DAYS, FAILED_DAYS, LEAST_DAYS)


@pytest.mark.parametrize(
    ("state", "days"),
    [
        ("sent", SENT_DAYS),
        ("erased", SENT_DAYS),
        ("expired", SENT_DAYS),
        ("dead", FAILED_DAYS),
        ("quarantined", FAILED_DAYS),
    ],
)
def test_each_state_is_kept_for_its_days_and_no_longer(
    store: Store, pruning: Pruning, state: str, days: float
) -> None:
    put_settled(store, 1, state, NOW - days * DAY)
    put_settled(store, 2, state, NOW - days * DAY - 1)
    assert pruning.run(NOW, no_wait) == {state: 2}
    assert [row.settled_at for row in rows(store).values()] == [NOW - days * DAY]
    assert pruning.run(NOW, no_wait) == {}
    with store.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(bodies)) == 1


def test_messages_to_any_destination_are_pruned(store: Store, pruning: Pruning) -> None:
    for destination in ("segment", "drip"):
        put_settled(Store(store.engine, destination), 1, "sent", 0.0)
    assert pruning.run(NOW, no_wait) == {"sent": 2}


def test_what_waits_is_never_pruned(store: Store, pruning: Pruning) -> None:
    store.put([message("a", received_at=0.0)])
    put_settled(store, 1, "pending", 0.0)  # no such row is ever made
    assert pruning.run(NOW * 1_000, no_wait) == {}
    assert len(rows(store)) == 2


@pytest.mark.parametrize("state", ["sent", "erased", "dead", "quarantined"])
def test_nothing_is_pruned_while_drip_may_send_it_again(store: Store, state: str) -> None:
    put_settled(store, 1, state, NOW - 4 * DAY)
    put_settled(store, 1, state, NOW - 4 * DAY - 1)
    assert Pruning(store.engine, 0, 0, LEAST_DAYS).run(NOW, no_wait) == {state: 1}


def test_a_step_is_of_some_hundred_at_most(store: Store, pruning: Pruning) -> None:
    for state in ("sent", "dead"):
        put_settled(store, STEP - 100, state, 0.0)
    assert pruning.step(NOW * 10) == {"sent": STEP - 100, "dead": 100}
    assert pruning.step(NOW * 10) == {"dead": STEP - 200}
    assert pruning.step(NOW * 10) == {}


def test_a_step_is_of_some_megabytes_at_most(store: Store, pruning: Pruning) -> None:
    put_settled(store, 5, "dead", 0.0)
    with store.engine.begin() as connection:
        connection.execute(update(bodies).values(raw=b"x" * 400_000))
    assert [pruning.step(NOW * 10).total() for _ in range(4)] == [2, 2, 1, 0]


def test_one_that_is_larger_than_a_step_goes_alone(store: Store, pruning: Pruning) -> None:
    put_settled(store, 2, "dead", 0.0)
    with store.engine.begin() as connection:
        connection.execute(update(bodies).values(raw=b"x" * (STEP_BYTES + 1)))
    assert [pruning.step(NOW * 10).total() for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("erases", [True, False], ids=["erase", "prune"])
def test_large_bodies_go_with_little_room_beside_them(tmp_path: Path, erases: bool) -> None:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)
    store = Store(engine, "segment")
    body = b"x" * 500_000 + b" ana@example.com"
    for number in range(30):
        store.put([message(f"raw-{number}", payload=None, raw=body, received_at=0.0)])

    if erases:
        gone = Erasure(engine, "ana@example.com", wait=no_wait).erase()
    else:
        gone = Pruning(engine, SENT_DAYS, FAILED_DAYS, LEAST_DAYS).run(NOW * 10, no_wait)

    assert gone == {"quarantined": 30}
    assert (tmp_path / "bridge.db-wal").stat().st_size < 8_000_000
    engine.dispose()


def test_replay_stops_when_asked_to(store: Store, pruning: Pruning) -> None:
    put_settled(store, 2 * STEP, "sent", 0.0)
    assert pruning.run(NOW, lambda _: True) == {"sent": STEP}


def test_two_that_prune_at_once_share_the_work(store: Store) -> None:
    put_settled(store, 3_000, "sent", 0.0)
    pruned: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: pruned.append(Pruning(store.engine, 7, 30, LEAST_DAYS).run(NOW).total())
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(pruned) == 3_000
    assert rows(store) == {}


def test_a_step_looks_only_at_what_it_removes(store: Store, pruning: Pruning) -> None:
    put_settled(store, 3_000, "sent", NOW)
    seen: list[tuple[str, Any]] = []

    def see(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
        if sql.startswith("SELECT events"):
            seen.append((sql, values))

    event.listen(store.engine, "before_cursor_execute", see)
    pruning.step(NOW)
    event.remove(store.engine, "before_cursor_execute", see)
    put_settled(store, 3, "sent", 0.0)

    assert len(seen) == 5
    for statement in seen:
        if store.engine.dialect.name == "sqlite":
            assert steps_on_sqlite(store.engine, statement) < 300
        else:
            assert rows_on_postgresql(store.engine, statement) <= 3


def test_nobody_waits_for_it_and_the_file_shrinks(
    store: Store, pruning: Pruning, tmp_path: Path
) -> None:
    for start in range(10):
        put_settled(store, 800, "sent", float(start))
    size = size_of(store.engine, tmp_path) if store.engine.dialect.name == "sqlite" else 0
    puts = 0
    puts_at_a_pause: set[int] = set()
    done = threading.Event()

    def put_on_and_on() -> None:
        nonlocal puts
        while not done.is_set():
            store.put([message(f"m{puts}", received_at=NOW)])
            puts += 1
            time.sleep(0.002)

    def pause(seconds: float) -> None:
        time.sleep(seconds)
        puts_at_a_pause.add(puts)

    putting = threading.Thread(target=put_on_and_on)
    putting.start()
    pruned = pruning.run(NOW, pause)
    done.set()
    putting.join()

    assert pruned == {"sent": 8_000}
    assert len(rows(store)) == puts
    # there are 27 steps, and a writer is served after nearly each of them
    assert len(puts_at_a_pause) > 15
    if store.engine.dialect.name == "sqlite":
        assert size_of(store.engine, tmp_path) < size / 5


def size_of(engine: Engine, folder: Path) -> int:
    """The database's files, in bytes. PostgreSQL keeps its file, and fills it again."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    return sum(file.stat().st_size for file in folder.glob("bridge.db*"))
