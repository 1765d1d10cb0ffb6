"""Open SQLite or PostgreSQL so that a commit is on disk before it returns.

For work that does not need this, `synced_later` gives an engine whose commits return earlier.
"""

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
"""Seconds to wait for another process's SQLite write, or for PostgreSQL to answer at all."""

LOOK_EVERY = 0.0005
"""Seconds between two tries to get SQLite's write lock."""


def open_database(url: URL, connections: int = 3) -> Engine:
    """An engine that has not connected yet. `connections` is the most that it opens to PostgreSQL.

    Code that only reads should use `reader`: any other transaction takes SQLite's write lock.
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
    """The same database, but on SQLite a commit may return before it is on disk.

    It is for work that is done again, to the same end, if the power fails within the next seconds.
    The next commit of the engine itself writes it to disk too. On PostgreSQL nothing changes:
    setting it for each transaction takes as long as it saves (docs/development/performance-log.md).
    """
    return engine.execution_options(**_LATER)


_LATER = {"synced_later": True}


def sleeping_by(engine: Engine, sleep: Callable[[float], None]) -> Engine:
    """The same database, but waiting for SQLite's write lock calls this function with seconds."""
    return engine.execution_options(sleep=sleep)


def _is_synced_later(connection: Connection) -> bool:
    return _LATER.items() <= connection.get_execution_options().items()


def dialect_of(engine: Engine) -> Any:
    """SQLAlchemy's module for the engine, whose `insert` has ON CONFLICT."""
    return sqlite if engine.dialect.name == "sqlite" else postgresql


def describe(error: SQLAlchemyError) -> str:
    """The driver's error, safe to log: without the values, which follow on later lines."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(error, DataError):  # quotes the value on the first line
        return type(cause).__name__
    first_line = str(cause).partition("\n")[0]
    return f"{type(cause).__name__}: {first_line}"


def is_of_content(error: Exception) -> bool:
    """Whether the values caused the error, so that another try would fail too."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        # class 54 is PostgreSQL's limits: an index row too large, too many columns
        return isinstance(error, DataError | IntegrityError) or state.startswith("54")
    return isinstance(
        error, ValueError | OverflowError
    )  # a text or number that the driver cannot write


def resets_log_wrongly(version: tuple[int, int, int]) -> bool:
    """Whether this SQLite has the WAL-reset bug, by which two connections can corrupt the file.

    Versions 3.7.0 to 3.51.2 have it, except those fixed: 3.44.6 and 3.50.7
    (docs/development/facts.md § 4).
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
    def _create_private(_: Any, __: Any, arguments: Sequence[str], ___: Any) -> None:
        with suppress(OSError):  # the driver's own error is clearer
            Path(arguments[0]).touch(mode=0o600)  # it holds people's addresses

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: Any) -> None:
        _prepare(connection)
        record.info["file"] = _file_of(connection)

    event.listen(engine, "checkout", _check_file)
    event.listen(engine, "begin", _begin_immediate)
    event.listen(engine, "handle_error", _mark_unusable)
    return engine


def _file_of(connection: Any) -> tuple[str, int | None]:
    """The path of the file, and its inode."""
    path: str = connection.execute("PRAGMA database_list").fetchone()[2]
    return path, _inode_of(path)


def _inode_of(path: str) -> int | None:
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None


def _check_file(_: Any, record: Any, __: Any) -> None:
    """Give up a connection whose file was deleted or replaced, by a backup for example. What is
    written into the old file is gone when the last process closes it."""
    path, inode = record.info["file"]
    if _inode_of(path) != inode:
        raise DisconnectionError


BROKEN = (8, 10, 11, 14, 26)
"""SQLITE_READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB: after these a connection is closed. One that
was opened while the file was read-only, for example, stays read-only when the file is not."""


def _mark_unusable(context: ExceptionContext) -> None:
    code = getattr(context.original_exception, "sqlite_errorcode", None) or 0
    if code & 0xFF in BROKEN:  # the higher bits have details
        context.is_disconnect = True


def _begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock when a transaction begins, and wait for it here.

    A transaction that reads before it takes the lock fails if another process wrote in between.
    SQLite's own waiting sleeps for up to 100 ms between tries: beside a process that commits all
    the time, it would never get the lock.
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
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # raises SQLAlchemy's own error
    finally:
        if not connection.invalidated:
            driver.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _prepare(connection: Any) -> None:
    connection.isolation_level = None  # the engine begins transactions, not the driver
    if connection.execute("PRAGMA page_count").fetchone() == (0,):
        # lets pruning return free pages to the system; it can only be set in a new file
        _execute_patiently(connection, "PRAGMA auto_vacuum = INCREMENTAL")
    # commits go to a log that is synced each time: they survive power loss, and readers never wait
    _execute_patiently(connection, "PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # a message's body is deleted with the message
    connection.execute("PRAGMA foreign_keys = ON")
    # deleted rows are overwritten with zeros, so that erased people cannot be read in the file
    connection.execute("PRAGMA secure_delete = ON")


def _execute_patiently(connection: Any, pragma: str) -> None:
    """Retry while another process creates the file: SQLite's own waiting does not cover this."""
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
    """The newer one of Python's SQLite and that of the package pysqlite3.

    Python on many systems has one with the WAL-reset bug (docs/development/facts.md § 4).
    """
    try:
        from pysqlite3 import dbapi2 as bundled
    except ImportError:
        return system
    return max(bundled, system, key=lambda driver: driver.sqlite_version_info)
