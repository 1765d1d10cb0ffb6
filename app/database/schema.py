"""Check that the database has this version's schema, and upgrade it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, func, inspect, select, text
from sqlalchemy.exc import OperationalError

from app.database.engine import describe, reader
from app.database.tables import events, metadata
from app.errors import ConfigError
from app.logs import get_logger

log = get_logger(__name__)

UPGRADE_COMMAND = "flask db upgrade"

_LOCK = 0x627269646765
"""The key of PostgreSQL's advisory lock: "bridge" in ASCII, which no other program should use."""

LOCK_SECONDS = 2
"""Seconds that an upgrade waits for its locks before it tries again. Webhooks wait behind it
meanwhile, so the wait is short."""

TRIES = 30
"""How often an upgrade tries to get its locks."""

HELD_UP = ("40P01", "55P03")
"""SQLSTATEs: deadlock, and lock not available."""


def make_ready(engine: Engine, may_upgrade: bool = True) -> None:
    """Upgrade an SQLite file to this version's schema; on PostgreSQL, only check it.

    PostgreSQL may be serving processes of an older version, so its operator decides when to
    upgrade. With `may_upgrade` False an older SQLite file is left to a process that may: an upgrade
    takes a minute for a million messages. Raises `ConfigError` with what to do.
    """
    revision = current_revision(engine)
    check_encoding(engine)
    if engine.dialect.name == "sqlite" and _is_older(revision):
        if revision is None or may_upgrade:
            upgrade(engine)
    else:
        _require_current(revision)


def check_encoding(engine: Engine) -> None:
    """Raises `ConfigError` if the database's encoding cannot keep every name."""
    if engine.dialect.name == "sqlite":
        return
    with reader(engine) as connection:
        encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise ConfigError(
            f"DATABASE_URL: the database's encoding is {encoding}, which cannot keep every letter. "
            "Make one in UTF8: CREATE DATABASE bridge ENCODING 'UTF8' TEMPLATE template0"
        )


def check_schema(engine: Engine) -> None:
    """Raises `ConfigError`, with what to do, if the schema is not this version's. Only reads."""
    _require_current(current_revision(engine))


def _require_current(revision: str | None) -> None:
    current = _scripts().get_current_head()
    if revision == current:
        return
    if _is_older(revision):
        raise ConfigError(
            f"The database's schema is {revision or 'not there yet'}, "
            f"this version needs {current}. Run: {UPGRADE_COMMAND}"
        )
    raise ConfigError(
        f"The database's schema ({revision}) is from a newer version of the bridge. "
        "Run that version, or restore a backup from before its upgrade."
    )


def upgrade(engine: Engine) -> None:
    """Run the missing migrations in one transaction. If two processes do so at once, the second one
    finds nothing to do.

    Raises `ConfigError` if the database's encoding cannot keep every name.
    """
    check_encoding(engine)
    for _ in range(TRIES - 1):
        try:
            _upgrade(engine)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in HELD_UP:
                raise
            log.warning("another holds the tables, trying again", reason=describe(error))
            time.sleep(LOCK_SECONDS)
        else:
            return
    _upgrade(engine)


def _upgrade(engine: Engine) -> None:
    with engine.connect() as connection, _without_foreign_keys(connection), connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        revision = MigrationContext.configure(connection).get_current_revision()
        if not _is_older(revision):
            return
        if engine.dialect.name == "postgresql":
            _lock_tables(connection)
        began = time.monotonic()
        if revision:
            log.info("bringing the database to this version's schema", events=_count(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if revision:
        took = round(time.monotonic() - began, 1)
        log.info("the database has this version's schema", seconds=took)
    if engine.dialect.name == "sqlite":
        _enable_shrinking(engine)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """Switch foreign keys off on SQLite while tables are rewritten
    (https://sqlite.org/lang_altertable.html § 7). It cannot be done within a transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")


def _lock_tables(connection: Connection) -> None:
    """Take the strongest locks at once, in the order in which writers lock the tables. An upgrade
    that held a weaker lock would wait for a writer that waits for it: a deadlock."""
    existing = inspect(connection).get_table_names()
    ours = [name for name in metadata.tables if name in existing]
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
    if ours:
        connection.execute(text(f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE"))


def _count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(events)) or 0


def _enable_shrinking(engine: Engine) -> None:
    """Rewrite a file that was made before `engine.py` set `auto_vacuum`, once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.scalar(text("PRAGMA auto_vacuum")) == 0:
            connection.execute(text("PRAGMA auto_vacuum = INCREMENTAL"))
            with suppress(
                OperationalError
            ):  # another process uses the file: the next upgrade tries again
                connection.execute(text("VACUUM"))


def current_revision(engine: Engine) -> str | None:
    """The name of the database's schema; None if it has none. Raises `SQLAlchemyError`."""
    with reader(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _is_older(revision: str | None) -> bool:
    if revision is None:
        return True
    return revision != _scripts().get_current_head() and _is_known(revision)


def _is_known(revision: str) -> bool:
    try:
        return _scripts().get_revision(revision) is not None
    except CommandError:
        return False


@cache
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    scripts = str(Path(__file__).with_name("migrations"))
    config.set_main_option("script_location", scripts.replace("%", "%%"))
    return config
