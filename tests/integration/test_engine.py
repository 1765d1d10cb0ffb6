"""Both engines are set so that a commit is on disk, writers queue, and errors carry no values."""

import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Connection, Engine, insert, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from app.database.engine import BUSY_SECONDS, describe, open_database
from app.database.postgresql import LONGEST_USE
from app.database.schema import make_ready, upgrade
from app.database.tables import events
from app.outbox.store import Store
from tests.support.builders import message

FULL = 2
"""What SQLite calls synchronous = FULL."""

CANARIES = {
    "destination": "segment",
    "message_id": "canary-id",
    "account": "canary-account",
    "state": "pending",
    "email": "canary@example.com",
    "received_at": 1.0,
    "due_at": 1.0,
    "tries": 0,
}


@pytest.fixture
def no_file_yet(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite(no_file_yet: Engine) -> Engine:
    upgrade(no_file_yet)
    return no_file_yet


@pytest.fixture
def postgresql(postgres_url: str) -> Iterator[Engine]:
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


def connect(engine: Engine, timeout: float = 0.0) -> Any:
    """Another connection to the file, of the same SQLite: two in one process ignore each other's
    locks."""
    driver: Any = engine.dialect.loaded_dbapi
    return driver.connect(
        engine.url.database, isolation_level=None, timeout=timeout, check_same_thread=False
    )


@contextmanager
def write_lock(engine: Engine) -> Iterator[Any]:
    """Another's write in progress."""
    with closing(connect(engine)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@contextmanager
def write_lock_for(seconds: float, engine: Engine) -> Iterator[None]:
    """Another's write that ends by itself."""
    with write_lock(engine) as other:
        end = threading.Timer(seconds, other.rollback)
        end.start()
        try:
            yield
        finally:
            end.join()


def has_write_lock(engine: Engine) -> bool:
    """Whether some connection holds it: then no other gets it."""
    with closing(connect(engine)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except other.OperationalError:
            return True
    return False


def pragma(connection: Connection, name: str) -> Any:
    return connection.execute(text(f"PRAGMA {name}")).scalar_one()


@pytest.mark.usefixtures("no_file_yet")
def test_opening_connects_to_nothing(tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []


def test_each_sqlite_connection_syncs_its_log_at_each_commit(sqlite: Engine) -> None:
    reading = sqlite.execution_options(isolation_level="AUTOCOMMIT")

    with reading.connect() as one, reading.connect() as two:
        for connection in (one, two):
            assert pragma(connection, "journal_mode") == "wal"
            assert pragma(connection, "synchronous") == FULL


def test_the_file_and_its_log_are_their_owners_alone(sqlite: Engine, tmp_path: Path) -> None:
    with sqlite.begin():
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}

    assert modes == {"bridge.db": 0o600, "bridge.db-wal": 0o600, "bridge.db-shm": 0o600}


def test_the_sqlite_in_use_cannot_corrupt_its_log(sqlite: Engine) -> None:
    bundled = pytest.importorskip("pysqlite3", reason="no wheel for this platform")

    with sqlite.connect() as connection:
        version = connection.execute(text("SELECT sqlite_version()")).scalar_one()

    in_use = tuple(int(part) for part in version.split("."))
    assert in_use >= (3, 51, 3)
    assert in_use == max(bundled.sqlite_version_info, sqlite3.sqlite_version_info)


def test_a_writer_waits_for_anothers_write_lock(sqlite: Engine) -> None:
    with write_lock_for(0.2, sqlite), sqlite.begin() as connection:
        connection.execute(insert(events), CANARIES)

    with sqlite.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM events")).scalar_one() == 1


def test_a_writer_gets_its_turn_beside_a_busy_one(sqlite: Engine) -> None:
    holds, stop = threading.Event(), threading.Event()

    def keep_committing() -> None:
        with closing(connect(sqlite, timeout=BUSY_SECONDS)) as other:
            while not stop.is_set():
                other.execute("BEGIN IMMEDIATE")
                holds.set()
                time.sleep(0.005)
                other.execute("COMMIT")
                time.sleep(0.0003)

    busy = threading.Thread(target=keep_committing)
    busy.start()
    assert holds.wait(5)
    began = time.monotonic()
    for _ in range(20):
        with sqlite.begin():
            holds.clear()
        assert holds.wait(5)
    stop.set()
    busy.join()
    # each time in one of the first pauses; SQLite's own waiting sleeps through dozens
    assert time.monotonic() - began < 1.5


def test_connecting_waits_for_another_that_is_making_the_file(no_file_yet: Engine) -> None:
    with write_lock_for(0.2, no_file_yet):  # its file is not in WAL mode yet
        upgrade(no_file_yet)

    make_ready(no_file_yet)
    assert Store(no_file_yet, "segment").put([message("a")]) == {"a"}


def test_a_writer_waits_no_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.database.engine.BUSY_SECONDS", 0.1)
    engine = open_database(make_url(f"sqlite:///{tmp_path}/bridge.db"))
    upgrade(engine)

    with write_lock(engine), pytest.raises(OperationalError), engine.begin():
        pass
    engine.dispose()


def test_a_reading_transaction_has_the_lock_from_the_start(
    sqlite: Engine,
) -> None:
    with sqlite.begin() as connection:
        connection.execute(text("SELECT count(*) FROM events"))
        assert has_write_lock(sqlite)

    assert not has_write_lock(sqlite)


def test_a_connection_that_has_read_still_takes_the_write_lock(sqlite: Engine) -> None:
    Store(sqlite, "segment").due_accounts(now=0.0)

    with sqlite.begin():
        assert has_write_lock(sqlite)


def test_reading_neither_takes_the_write_lock_nor_waits_for_it(sqlite: Engine) -> None:
    store = Store(sqlite, "segment")
    reading = sqlite.execution_options(isolation_level="AUTOCOMMIT")

    with reading.connect() as connection:
        connection.execute(text("SELECT count(*) FROM events"))
        assert not has_write_lock(sqlite)
    with write_lock(sqlite):
        assert store.due_accounts(now=0.0) == []


def test_postgresql_syncs_commits_and_ends_hanging_statements(postgresql: Engine) -> None:
    with postgresql.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        limit = connection.execute(text("SHOW statement_timeout")).scalar_one()

    assert limit == f"{BUSY_SECONDS}s"


def test_a_setting_of_the_database_does_not_loosen_a_commit(postgresql: Engine) -> None:
    with postgresql.begin() as connection:
        name = postgresql.url.database
        connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = off"))
        connection.execute(text(f"ALTER DATABASE {name} SET statement_timeout = 0"))
    postgresql.dispose()

    with postgresql.connect() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert connection.execute(text("SHOW statement_timeout")).scalar_one() != "0"


def test_the_urls_options_are_put_together_with_ours(postgres_url: str) -> None:
    """Two bridges, a schema each, in one database."""
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engines = []
    for schema in ("production", "staging"):
        with psycopg.connect(postgres_url) as plain:
            plain.execute(f"CREATE SCHEMA {schema}".encode())
        theirs = {"options": f"-csearch_path={schema}", "application_name": schema}
        engine = open_database(url.update_query_dict(theirs))
        upgrade(engine)
        with engine.begin() as connection:
            connection.execute(insert(events), {**CANARIES, "message_id": schema})
        engines.append(engine)

    for engine, schema in zip(engines, ("production", "staging"), strict=True):
        with engine.connect() as connection:
            assert connection.execute(text("SELECT message_id FROM events")).scalars().all() == [
                schema
            ]
            assert connection.execute(text("SHOW application_name")).scalar_one() == schema
            assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
            assert (
                connection.execute(text("SHOW statement_timeout")).scalar_one()
                == f"{BUSY_SECONDS}s"
            )
        engine.dispose()


def test_the_clients_own_variable_for_options_counts_too(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-csearch_path=production")
    engine = open_database(postgresql.url)

    with engine.connect() as connection:
        assert connection.execute(text("SHOW search_path")).scalar_one() == "production"
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
    engine.dispose()


def test_a_connection_that_the_server_has_cut_is_made_anew(
    postgresql: Engine, postgres_url: str
) -> None:
    own = text("SELECT pg_backend_pid()")
    with postgresql.connect() as connection:
        before = connection.execute(own).scalar_one()
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (before,))

    with postgresql.connect() as connection:
        assert connection.execute(own).scalar_one() != before


USELESS = {
    "read-only, as the old server after a fail-over": "SET default_transaction_read_only = on",
    "another role": "SET ROLE pg_monitor",
    "another schema": "SET search_path = pg_catalog",
    "prepared statements gone": "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$",
}


@pytest.mark.parametrize("spoil", USELESS.values(), ids=USELESS)
def test_a_connection_that_has_become_useless_is_thrown_away(
    postgresql: Engine, spoil: str
) -> None:
    upgrade(postgresql)
    store = Store(postgresql, "segment")
    for number in range(10):  # often enough for its statements to be prepared
        store.put([message(f"before-{number}")])
    with postgresql.begin() as connection:
        connection.execute(text(spoil))

    with pytest.raises(DBAPIError):
        store.put([message("during")])

    for number in range(3):
        assert store.put([message(f"after-{number}")])


def test_a_connection_stays_when_only_a_value_was_wrong(postgresql: Engine) -> None:
    own = text("SELECT pg_backend_pid()")
    with postgresql.connect() as connection:
        before = connection.scalar(own)
    with pytest.raises(DBAPIError), postgresql.connect() as connection:
        connection.execute(text("SELECT 1/0"))

    with postgresql.connect() as connection:
        assert connection.scalar(own) == before


def test_no_connection_outlives_an_unnoticed_fail_over(
    postgresql: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = text("SELECT pg_backend_pid()")
    with postgresql.connect() as connection:
        before = connection.scalar(own)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + LONGEST_USE + 1)

    with postgresql.connect() as connection:
        assert connection.scalar(own) != before


def test_the_url_counts(postgres_url: str) -> None:
    url = make_url(postgres_url).set(drivername="postgresql+psycopg")
    engine = open_database(
        url.update_query_dict({"options": "-c search_path=other", "application_name": "ours"})
    )

    with engine.connect() as connection:
        assert connection.scalar(text("SHOW search_path")) == "other"
        assert connection.scalar(text("SHOW application_name")) == "ours"
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    engine.dispose()


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "replaced"])
def test_nothing_is_written_into_a_file_that_is_gone(
    sqlite: Engine, tmp_path: Path, is_deleted: bool
) -> None:
    other = open_database(make_url(f"sqlite:///{tmp_path}/other.db"))
    upgrade(other)
    other.dispose()
    Store(sqlite, "segment").put([message("before")])

    for left in tmp_path.glob("bridge.db*"):
        left.unlink()
    if not is_deleted:
        (tmp_path / "other.db").rename(tmp_path / "bridge.db")

    make_ready(sqlite)
    assert Store(sqlite, "segment").put([message("after")])
    with closing(connect(sqlite)) as reader:
        assert reader.execute("SELECT message_id FROM events").fetchall() == [("after",)]


@pytest.mark.parametrize(
    ("fault", "rule"),
    [({}, "message"), ({"message_id": "canary-2", "state": "canary-state"}, "events_state")],
    ids=["unique", "check"],
)
def test_a_described_error_names_the_rule_and_no_value(
    engine: Engine, fault: dict[str, str], rule: str
) -> None:
    with engine.begin() as connection:
        connection.execute(insert(events), CANARIES)

    with pytest.raises(IntegrityError) as caught, engine.begin() as connection:
        connection.execute(insert(events), {**CANARIES, **fault})

    assert rule in describe(caught.value)
    assert "canary" not in describe(caught.value)
    assert "\n" not in describe(caught.value)


def test_sqlalchemys_own_text_shows_no_parameters(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:value)"), {"value": "canary"})

    assert "canary" not in str(caught.value)


def test_an_unreachable_postgresql_is_shown_without_password() -> None:
    url = make_url("postgresql+psycopg://bridge:canary@127.0.0.1:9/bridge")

    with pytest.raises(OperationalError) as caught:
        open_database(url).connect()

    assert describe(caught.value).startswith("OperationalError: ")
    assert "canary" not in describe(caught.value)
