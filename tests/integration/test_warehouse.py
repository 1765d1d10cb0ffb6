"""Each kept event is one row in the warehouse, whatever happens meanwhile."""

import builtins
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, text
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.database.exclusive import InUse, exclusive
from app.database.tables import events
from app.outbox.messages import Message
from app.outbox.retranslation import Retranslation
from app.outbox.store import Store
from app.warehouse import reading
from app.warehouse.failure import WarehouseFailed
from app.warehouse.load import Loader
from app.warehouse.pipeline import Warehouse, remove_remains
from app.warehouse.target import Target
from tests.support.bridge_process import ROOT
from tests.support.builders import message, rows, translated
from tests.support.logged import Logged
from tests.support.postgres import fresh_database
from tests.support.samples import NOBODY
from tests.support.warehouses import RECEIVED_AT, emailed, ids, loader_for, opened, query


@pytest.fixture
def warehouse_url(engine: Engine, postgres: str, tmp_path: Path) -> Iterator[URL]:
    """A DuckDB for the outbox in SQLite, a PostgreSQL for that in PostgreSQL."""
    if engine.dialect.name == "sqlite":
        yield make_url(f"duckdb:///{tmp_path}/warehouse.duckdb")
        return
    with fresh_database(postgres) as uri:
        yield make_url(uri)


@pytest.fixture
def loader(engine: Engine, warehouse_url: URL) -> Loader:
    return loader_for(engine, warehouse_url)


def put(store: Store, *messages: Message) -> list[str]:
    """Keep messages. Returns their ids, as the warehouse sorts them."""
    store.put(messages)
    return sorted(each.message_id for each in messages)


def test_ids_have_an_index_unless_all_of_it_has_to_be_in_memory(
    loader: Loader, store: Store, warehouse_url: URL
) -> None:
    put(store, opened("a"))
    loader.run()
    is_duckdb = warehouse_url.drivername == "duckdb"
    indexes = "duckdb_indexes()" if is_duckdb else "pg_indexes WHERE tablename = 'tracks'"
    assert (query(warehouse_url, f"SELECT * FROM {indexes}") == []) == is_duckdb


def test_events_become_rows_with_segments_columns(
    store: Store, loader: Loader, warehouse_url: URL, logged: Logged
) -> None:
    text = 'a "b"\nc,\\N é🎉'
    click = emailed("clicked_email", "2", url="https://x.example/?a=1", note=text)
    put(store, opened("1"), click)
    assert loader.run() == 2

    happened, came = datetime(2026, 11, 2, 9, 30, tzinfo=UTC), datetime(2026, 11, 3, 12, tzinfo=UTC)
    columns = "id, event, event_text, anonymous_id, email_id, link_url, note"
    times = "timestamp, original_timestamp, received_at, sent_at"
    assert query(warehouse_url, f"SELECT {columns}, {times} FROM drip.email_link_clicked") == [
        (
            *(click.message_id, "email_link_clicked", "Email Link Clicked", "ana@example.com"),
            *("31", "https://x.example/?a=1", text, happened, happened, came, came),
        )
    ]
    assert len(ids(warehouse_url)) == 2
    of_dlt = (
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'drip' "
        "AND table_name IN ('tracks', 'email_opened') AND column_name LIKE '%dlt%'"
    )
    assert query(warehouse_url, of_dlt) == []
    assert "'event': 'warehouse loaded'" in logged.text
    assert "ana@example.com" not in logged.text


def test_each_load_goes_on_behind_the_last_one(
    store: Store, loader: Loader, warehouse_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_EVENTS", 2)
    monkeypatch.setattr(reading, "PAGE", 2)
    first = put(store, *(opened(str(n)) for n in range(3)))
    reports: list[int] = []
    assert loader.run(reports.append) == 3
    assert reports == [2, 1]
    later = put(store, opened("later"))
    assert loader.run() == 1
    assert ids(warehouse_url) == ids(warehouse_url, "email_opened") == sorted(first + later)
    found = loader.loads.read("segment")
    assert found is not None
    assert (found.count, found.oldest, found.error) == (4, None, None)


class Killed(BaseException):
    """Ends a load as a kill would: nothing of the bridge's own runs after it."""


@pytest.mark.parametrize("point", ["before it is written", "before it is noted", "half written"])
def test_a_load_that_is_killed_loses_and_doubles_nothing(
    store: Store,
    loader: Loader,
    warehouse_url: URL,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    kept = put(store, opened("1"), emailed("bounced", "2"))
    write = Warehouse.write

    def killed(warehouse: Warehouse, tables: Mapping[str, Any]) -> None:
        if point == "half written":
            write(warehouse, {"tracks": tables["tracks"]})
        if point == "before it is noted":
            write(warehouse, tables)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Warehouse, "write", killed)
        with pytest.raises(Killed):
            loader.run()

    kept = sorted(kept + put(store, opened("3")))
    assert loader.run() == 3
    assert ids(warehouse_url) == kept
    assert ids(warehouse_url, "email_opened") == sorted([opened(n).message_id for n in "13"])


def test_of_two_loads_at_once_one_waits_for_its_next_turn(
    store: Store, loader: Loader, warehouse_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = put(store, opened("1"))
    other = loader_for(open_database(store.engine.url), warehouse_url)
    begun, may_go_on = threading.Event(), threading.Event()
    write = Warehouse.write

    def slow(warehouse: Warehouse, tables: Mapping[str, Any]) -> None:
        begun.set()
        assert may_go_on.wait(30)
        write(warehouse, tables)

    monkeypatch.setattr(Warehouse, "write", slow)
    first = threading.Thread(target=loader.run)
    first.start()
    assert begun.wait(30)
    with pytest.raises(InUse):
        other.run()
    may_go_on.set()
    first.join()
    assert other.run() == 0
    assert ids(warehouse_url) == kept
    other.engine.dispose()


def test_a_lock_ends_with_its_holder(engine: Engine) -> None:
    with exclusive(engine, "a") as still_mine, exclusive(engine, "b"):
        still_mine()
        with pytest.raises(InUse), exclusive(engine, "a"):
            pass
    with exclusive(engine, "a"):
        pass


def test_what_could_not_be_read_is_loaded_when_it_can(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    quarantined = translated(NOBODY, RECEIVED_AT)
    store.put([quarantined, opened("1")])
    assert loader.run() == 1
    assert len(ids(warehouse_url)) == 1

    by_new_rules = opened("read now")
    again = Retranslation(store.engine, "segment", lambda *_: by_new_rules)
    (id_,) = [id_ for id_, row in rows_by_id(store).items() if row == "quarantined"]
    assert again.again(id_, RECEIVED_AT) == "requeued"
    assert loader.run() == 1
    assert by_new_rules.message_id in ids(warehouse_url)


def rows_by_id(store: Store) -> dict[int, str]:
    return {row.id: row.state for row in rows(store).values()}


def test_an_id_that_sqlite_gives_again_is_loaded_again(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    put(store, opened("1"), opened("2"))
    assert loader.run() == 2
    with store.engine.begin() as connection:
        connection.execute(delete(events))
    put(store, opened("3"))
    assert loader.run() == 1
    assert opened("3").message_id in ids(warehouse_url)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_event_that_is_on_its_way_holds_the_load_up(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    """SQLite has one writer at a time."""
    slow, waits = open_database(store.engine.url), threading.Event()
    with slow.connect() as connection:
        connection.execute(text(SLOW_INSERT), {"message_id": "slow"})
        connection.execute(text(SLOW_BODY))
        put(store, opened("quick"))

        def wait(seconds: float) -> None:
            waits.set()
            time.sleep(seconds)

        loading = threading.Thread(target=lambda: loader.loads.horizon(wait))
        loading.start()
        assert waits.wait(10)
        assert loading.is_alive()
        connection.commit()
        loading.join(30)
    assert loader.run() == 2
    assert "slow" in ids(warehouse_url)
    slow.dispose()


SLOW_INSERT = """
    INSERT INTO events (destination, message_id, account, state, received_at, due_at, tries)
    VALUES ('segment', :message_id, '4417', 'pending', 0, 0, 0)
"""
SLOW_BODY = """
    INSERT INTO bodies (event, payload, raw)
    SELECT max(id), '{"type": "track", "event": "Email Opened"}', '' FROM events
"""


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_writer_that_does_not_end_is_not_waited_for_for_ever(
    store: Store, loader: Loader
) -> None:
    with store.engine.connect() as connection:
        connection.execute(text(SLOW_INSERT), {"message_id": "slow"})
        with pytest.raises(TimeoutError):
            loader.loads.horizon(lambda _: None)


def test_a_column_keeps_its_type_from_load_to_load(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    for name, value in (("1", 5), ("2", "five"), ("3", 2.5), ("4", None)):
        put(store, opened(name, score=value))
        loader.run()
    found = query(warehouse_url, "SELECT score, score_text, score_double FROM drip.email_opened")
    none = (None, None, None)
    assert sorted(found, key=str) == sorted(
        [(5, None, None), (None, "five", None), (None, None, 2.5), none], key=str
    )


def test_what_was_lost_in_the_warehouse_can_be_loaded_again(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    kept = put(store, opened("1"), opened("2"))
    loader.run()
    with Warehouse.open(loader.target) as warehouse:
        warehouse.run("DELETE FROM {tracks}")
    loader.loads.start_over()
    assert loader.run() == 2
    assert ids(warehouse_url) == ids(warehouse_url, "email_opened") == kept


def test_a_warehouse_that_is_not_reached_is_noted_and_quoted_nowhere(
    store: Store, loader: Loader, logged: Logged
) -> None:
    put(store, opened("1"))
    gone = make_url("postgresql://ana:secret@127.0.0.1:9/gone")
    broken = loader_for(store.engine, gone)
    with pytest.raises(WarehouseFailed, match=r"^OperationalError$"):
        broken.run()
    found = broken.loads.read("segment")
    assert found is not None
    assert found.error == "OperationalError"
    assert found.failing_since is not None
    assert found.oldest == RECEIVED_AT
    assert "Connection refused" in logged.text
    assert "secret" not in logged.text
    with pytest.raises(WarehouseFailed):
        broken.run()
    again = broken.loads.read("segment")
    assert again is not None
    assert again.failing_since == found.failing_since

    loader.run()  # another warehouse has an account of its own
    assert loader.loads.last_event("segment") == 1
    assert broken.loads.last_event("segment") == 0


def test_a_row_that_the_warehouse_refuses_is_quoted_nowhere(
    store: Store, loader: Loader, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, opened("1"))
    write = Warehouse.write

    def refused(warehouse: Warehouse, tables: Mapping[str, Any]) -> None:
        write(warehouse, tables)
        warehouse.run("SELECT CAST(anonymous_id AS INTEGER) FROM {tracks}")

    monkeypatch.setattr(Warehouse, "write", refused)
    with pytest.raises(WarehouseFailed):
        loader.run()
    assert "warehouse not loaded" in logged.text
    assert "ana@example.com" not in logged.text


def test_without_the_package_one_line_says_what_to_install(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "dlt":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(WarehouseFailed, match=r"pip install '\.\[warehouse\]'"):
        loader.run()


def test_a_load_leaves_nothing_on_disk_and_removes_what_a_killed_one_left(
    store: Store, loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    left = scratch / f"bridge-load-{loader.target.fingerprint}-left"
    left.mkdir(parents=True)
    of_a_report = scratch / f"bridge-read-{loader.target.fingerprint}-running"
    of_a_report.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    put(store, opened("1"))
    loader.run()
    assert [*scratch.iterdir()] == [of_a_report]
    file = tmp_path / "warehouse.duckdb"
    assert not file.exists() or file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", [b"", b"12345678DUCK then nothing"])
def test_a_file_that_was_never_finished_is_made_anew(tmp_path: Path, left: bytes) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_bytes(left)
    target = Target(make_url(f"duckdb:///{file}"), "drip")
    remove_remains(target, "load")
    with Warehouse.open(target) as warehouse:
        assert warehouse.run("SELECT 1") == [(1,)]


def test_a_file_that_is_something_else_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("buy milk")
    target = Target(make_url(f"duckdb:///{file}"), "drip")
    remove_remains(target, "load")
    with pytest.raises(Exception, match="not a valid DuckDB"), Warehouse.open(target):
        pass
    assert file.read_text() == "buy milk"


def test_the_bridge_starts_without_what_loads_need() -> None:
    code = "import sys, app; print({'dlt', 'pyarrow', 'duckdb', 'psycopg2'} & sys.modules.keys())"
    found = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    assert found == "set()\n"


# calls to Drip


def call(name: str, **fields: Any) -> Message:
    """A call of Segment, kept for Drip."""
    body = {"messageId": name, "userId": "u-81", "timestamp": "2026-11-02T09:30:00Z", **fields}
    return message(name, payload="{}", raw=json.dumps(body).encode(), received_at=RECEIVED_AT)


def test_calls_to_drip_become_identifies_users_and_a_table_for_each_event(
    store: Store, warehouse_url: URL
) -> None:
    loader = loader_for(store.engine, warehouse_url, "segment", "drip")
    drip = Store(store.engine, "drip")
    put(store, opened("1"))
    put(
        drip,
        call("i1", type="identify", traits={"plan": "pro", "city": "Bo"}),
        call("i2", type="identify", traits={"plan": "free", "orders": 3}),
        call("t1", type="track", event="Order Completed", properties={"revenue": 27.5}),
        call("t1/2", messageId="t1", type="track", event="Order Completed"),  # a follow-up
    )
    assert loader.run() == 5
    put(drip, call("i3", type="identify", traits={"city": "Ys"}))
    assert loader.run() == 1

    assert ids(warehouse_url, "identifies") == ["i1", "i2", "i3"]
    assert ids(warehouse_url, "tracks") == sorted([opened("1").message_id, "t1"])
    assert ids(warehouse_url, "order_completed") == ["t1"]
    users = "SELECT id, plan, city, orders, uuid_ts IS NOT NULL FROM drip.users"
    assert query(warehouse_url, users) == [("u-81", "free", "Ys", 3, True)]


# who was erased


def erase(loader: Loader, email: str) -> None:
    loader.erasures.ask(email, 1.0)
    loader.erase()


def test_a_person_who_was_erased_is_erased_in_the_warehouse(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    put(store, opened("1"), opened("2", "Ana@Example.com"), emailed("bounced", "3"))
    others = put(
        store,
        opened("4", "hanna@example.com"),
        opened("5", "bo@example.com", link="https://x.example/?to=ana%40example.com", n="ok"),
    )
    loader.run()
    erase(loader, "ana@example.com")
    assert ids(warehouse_url) == others
    assert ids(warehouse_url, "email_bounced") == []
    found = query(warehouse_url, "SELECT link, n FROM drip.email_opened WHERE n IS NOT NULL")
    assert found == [(None, "ok")]
    assert loader.erasures.asked() == []


def test_an_erasure_that_could_not_be_done_is_done_by_the_next_load(
    store: Store, loader: Loader, warehouse_url: URL
) -> None:
    put(store, opened("1"))
    loader.run()
    elsewhere = make_url("postgresql://127.0.0.1:9/gone")
    broken = replace(loader, target=replace(loader.target, url=elsewhere))
    with pytest.raises(WarehouseFailed):
        erase(broken, "ana@example.com")
    assert loader.erasures.oldest() == 1.0
    assert loader.run() == 0
    assert ids(warehouse_url) == []
    assert loader.erasures.asked() == []


def test_who_is_erased_while_a_batch_is_written_is_erased_behind_it(
    store: Store, loader: Loader, warehouse_url: URL, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, opened("1"))
    write = Warehouse.write

    def erased_meanwhile(warehouse: Warehouse, tables: Mapping[str, Any]) -> None:
        loader.erasures.ask("ana@example.com", 1.0)
        write(warehouse, tables)

    monkeypatch.setattr(Warehouse, "write", erased_meanwhile)
    assert loader.run() == 1
    assert ids(warehouse_url) == []


def test_what_was_asked_for_anew_is_done_anew(loader: Loader) -> None:
    loader.erasures.ask("ana@example.com", 1.0)
    loader.erasures.ask("ana@example.com", 2.0)
    loader.erasures.end("ana@example.com", 1.0)
    assert loader.erasures.asked() == [("ana@example.com", 2.0)]
