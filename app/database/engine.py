"""One database, either engine, set so that a commit is on disk before it returns, unless it is said
that it need not be."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from sqlite3 import dbapi2 as system
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    DisconnectionError,
    IntegrityError,
    SQLAlchemyError,
)

from app.database.postgresql import open_postgresql
from app.errors import ConfigError

BUSY_SECONDS = 5
"""How long to wait for another process's SQLite write, or for PostgreSQL to answer at all."""

LOOK_EVERY = 0.0005
"""Seconds between looks whether another process's SQLite write is over."""


def open_database(url: URL, connections: int = 3) -> Engine:
    """An engine that has not connected yet, with at most so many connections to a PostgreSQL.

    Raises `ConfigError` if the only SQLite there is could corrupt the file.
    """
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    return open_postgresql(url, connections, BUSY_SECONDS)


@contextmanager
def reader(engine: Engine) -> Iterator[Connection]:
    """A connection for statements that only read. Each runs outside a transaction, so on SQLite it
    never waits for the write lock.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


def synced_later(engine: Engine) -> Engine:
    """The same database, but on SQLite a commit may return before it is on disk: for what is done
    again, to the same end, should the power fail within the next seconds. The next commit of the
    engine itself has it on disk too. PostgreSQL would have to be asked each time, which takes as
    long as it saves.
    """
    return engine.execution_options(**_LATER)


_LATER = {"synced_later": True}


def sleeping_by(engine: Engine, sleep: Callable[[float], None]) -> Engine:
    """The same database, but who waits for SQLite's write lock sleeps by this function."""
    return engine.execution_options(sleep=sleep)


def _is_synced_later(connection: Connection) -> bool:
    return _LATER.items() <= connection.get_execution_options().items()


def dialect_of(engine: Engine) -> Any:
    """The module with the engine's own `insert`, which knows ON CONFLICT."""
    return sqlite if engine.dialect.name == "sqlite" else postgresql


def describe(error: SQLAlchemyError) -> str:
    """What the driver said, without the values it said it of: those follow on later lines."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(error, DataError):  # quotes the value at once
        return type(cause).__name__
    first_line = str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {first_line}"


def is_of_content(error: Exception) -> bool:
    """Whether the values are to blame, which no other moment will make better."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        # the last is PostgreSQL's own limits: an index row too large, too many columns
        return isinstance(error, DataError | IntegrityError) or state.startswith("54")
    return isinstance(error, ValueError | OverflowError)  # no text, no number that a driver knows


def resets_log_wrongly(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the WAL-reset bug: two connections can corrupt the file through it.

    3.7.0 to 3.51.2 have it, but for the fix in 3.44.6 and 3.50.7 (docs/facts.md § 4).
    """
    fixed_since = {(3, 44): 6, (3, 50): 7}
    if version[2] >= fixed_since.get(version[:2], 1 << 30):
        return False
    return (3, 7, 0) <= version < (3, 51, 3)


def _open_sqlite(url: URL) -> Engine:
    driver = _sqlite_driver()
    if resets_log_wrongly(driver.sqlite_version_info):
        raise ConfigError(
            f"SQLite {driver.sqlite_version} can corrupt its file when two connections write. "
            "Install one without this bug (pip install pysqlite3, or SQLite 3.51.3 or newer), "
            "or set DATABASE_URL to a PostgreSQL."
        )
    engine = create_engine(
        url,
        module=driver,
        connect_args={"timeout": BUSY_SECONDS},
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def _for_our_eyes(_: Any, __: Any, arguments: Sequence[str], ___: Any) -> None:
        with suppress(OSError):  # the driver says better what is wrong
            Path(arguments[0]).touch(mode=0o600)  # people's addresses are in it

    @event.listens_for(engine, "connect")
    def _durable(connection: Any, record: Any) -> None:
        _prepare(connection)
        record.info["file"] = _file_of(connection)

    event.listen(engine, "checkout", _insist_on_the_file)
    event.listen(engine, "begin", _write_lock_first)
    event.listen(engine, "handle_error", _throw_away)
    return engine


def _file_of(connection: Any) -> tuple[str, int | None]:
    """Its path, and which file is there now."""
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return path, _which(path)


def _which(path: str) -> int | None:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None


def _insist_on_the_file(_: Any, record: Any, __: Any) -> None:
    """A backup was put in its place, or it was deleted: what is written into the old one is gone
    when the last process closes it."""
    path, which = record.info["file"]
    if _which(path) != which:
        raise DisconnectionError


BROKEN = (8, 10, 11, 14, 26)
"""SQLITE_READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB: after these a connection is thrown away. One
that was opened while the file was read-only, say, stays so when the file is not."""


def _throw_away(context: ExceptionContext) -> None:
    code = getattr(context.original_exception, "sqlite_errorcode", None) or 0
    if code & 0xFF in BROKEN:  # the rest of it says more
        context.is_disconnect = True


def _write_lock_first(connection: Connection) -> None:
    """A transaction that reads first and then writes fails at once where another wrote meanwhile,
    without waiting for its turn.

    SQLite's own waiting sleeps for up to 100 ms between looks: beside a process that commits all
    the time, a turn would never come.
    """
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    driver: Any = connection.connection.driver_connection
    sleep = connection.get_execution_options().get("sleep", time.sleep)
    deadline = time.monotonic() + BUSY_SECONDS
    driver.execute(f"PRAGMA synchronous = {'NORMAL' if _is_synced_later(connection) else 'FULL'}")
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        while time.monotonic() < deadline:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except driver.OperationalError as error:
                if "locked" not in str(error):
                    break
                sleep(LOOK_EVERY)
            else:
                return
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # to fail in SQLAlchemy's words
    finally:
        if not connection.invalidated:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _prepare(connection: Any) -> None:
    connection.isolation_level = None  # transactions are begun by the engine, not by the driver
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # possible in a new file alone: pages that pruning frees can be given back
        _insist(connection, "PRAGMA auto_vacuum = INCREMENTAL")
    # a log that is synced at each commit: survives power loss, and readers never wait
    _insist(connection, "PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # an event's body goes with the event
    connection.execute("PRAGMA foreign_keys = ON")
    # what is deleted is overwritten with zeros: who was erased is not to be read in the file
    connection.execute("PRAGMA secure_delete = ON")


def _insist(connection: Any, pragma: str) -> None:
    """Also while another is making the file: for this, SQLite's own waiting does not wait."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(pragma)
        except connection.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _sqlite_driver() -> Any:
    """The newer of Python's own SQLite and the one that the package pysqlite3 brings.

    Many systems link one that can corrupt a log written by two connections (docs/facts.md § 4).
    """
    try:
        from pysqlite3 import dbapi2 as bundled
    except ImportError:
        return system
    return max(bundled, system, key=lambda driver: driver.sqlite_version_info)
