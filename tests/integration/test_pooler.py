"""Behind a pooler that hands each transaction to another session, all promises hold."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import OperationalError

from app.database.engine import BUSY_SECONDS, open_database
from app.database.exclusive import InUse, exclusive
from app.database.schema import upgrade
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from tests.support.builders import NOW, claim, mark_sent, message
from tests.support.pooler import Pooler

TIMEOUT = f"{BUSY_SECONDS}s"


@pytest.fixture
def direct(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def pooled_url(direct: psycopg.Connection) -> Iterator[URL]:
    """Of a database whose own settings loosen everything."""
    name = direct.info.dbname
    for setting in (
        "synchronous_commit = off",
        "statement_timeout = 0",
        "default_transaction_isolation = 'serializable'",
    ):
        direct.execute(f"ALTER DATABASE {name} SET {setting}".encode())
    socket = next(Path(direct.info.host).glob(".s.PGSQL.*[0-9]"))
    with Pooler(str(socket), direct.info.user, name) as pooler:
        yield make_url("postgresql+psycopg://").set(
            username=direct.info.user, host="127.0.0.1", port=pooler.port, database=name
        )


@pytest.fixture
def pooled(pooled_url: URL) -> Iterator[Engine]:
    engine = open_database(pooled_url)
    yield engine
    engine.dispose()


def test_the_pooler_refuses_options_and_mixes_sessions(pooled: Engine, pooled_url: URL) -> None:
    with pytest.raises(OperationalError, match="unsupported startup parameter"):
        open_database(pooled_url.update_query_dict({"options": "-c jit=off"})).connect()
    sessions = set()
    for _ in range(3):
        with pooled.begin() as connection:
            sessions.add(connection.scalar(text("SELECT pg_backend_pid()")))
    assert len(sessions) == 3


@pytest.mark.parametrize("isolation", [None, "AUTOCOMMIT"])
def test_each_transaction_is_synced_and_bounded(pooled: Engine, isolation: str | None) -> None:
    engine = pooled.execution_options(isolation_level=isolation) if isolation else pooled
    for _ in range(4):
        with engine.connect() as connection:
            shown = [
                connection.scalar(text(f"SHOW {name}"))
                for name in ("synchronous_commit", "statement_timeout", "transaction_isolation")
            ]
        assert shown == ["on", TIMEOUT, "read committed"]


def test_a_setting_is_not_left_to_the_sessions_next_user(pooled: Engine, pooled_url: URL) -> None:
    for _ in range(3):
        with pooled.begin() as connection:
            connection.execute(text("SELECT 1"))

    other = psycopg.connect(
        pooled_url.set(drivername="postgresql").render_as_string(), autocommit=True
    )
    with other:
        for _ in range(3):
            assert other.execute("SHOW statement_timeout").fetchone() == ("0",)


def test_events_are_kept_claimed_and_settled(pooled: Engine) -> None:
    upgrade(pooled)
    store, outbox = Store(pooled, "segment"), GroupCommit(Store(pooled, "segment"))

    with ThreadPoolExecutor(8) as pool:  # each statement often enough to be prepared, were it
        kept = list(pool.map(lambda number: outbox.put(message(f"m{number}")), range(100)))
    assert kept == [True] * 100
    sent = 0
    while store.due_accounts(NOW):
        sent += mark_sent(store, claim(store, most_events=9), NOW)
    assert sent == 100


def test_a_serializable_default_is_overridden(
    direct: psycopg.Connection, postgres_url: str
) -> None:
    name = f"ALTER DATABASE {direct.info.dbname} SET default_transaction_isolation = 'serializable'"
    direct.execute(name.encode())
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))

    with engine.begin() as connection:
        assert connection.scalar(text("SHOW transaction_isolation")) == "read committed"
    engine.dispose()


def test_a_job_is_done_by_one_process_at_a_time(pooled: Engine, pooled_url: URL) -> None:
    other = open_database(pooled_url)
    with exclusive(pooled, "load") as still_mine:
        for _ in range(4):  # whichever session they get
            with pytest.raises(InUse), exclusive(other, "load"):
                pass
        still_mine()
    with exclusive(other, "load"):
        pass
    other.dispose()
