"""Is the database's schema the one this version works with, and how it becomes so."""

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

UPGRADE_COMMAND = "flask --app wsgi db upgrade"

_LOCK = 0x627269646765
"""Any number that other users of the same PostgreSQL do not lock: "bridge" in ASCII."""

LOCK_SECONDS = 2
"""Webhooks wait behind an upgrade that waits for its turn: so it waits briefly, and tries again."""

TRIES = 30

HELD_UP = ("40P01", "55P03")
"""Deadlock, and lock not available."""


def make_ready(engine: Engine, may_upgrade: bool = True) -> None:
    """Bring SQLite to this version's schema; see that PostgreSQL has it. If it may not upgrade, a
    file of an older version is left to who may: it takes a minute for a million events.

    Raises `ConfigError` with what to do. An SQLite file has one bridge over it; a PostgreSQL may be
    serving an older version's processes at this moment, so its operator says when.
    """
    found = _revision(engine)
    check_encoding(engine)
    if engine.dialect.name == "sqlite" and _is_older(found):
        if found is None or may_upgrade:
            upgrade(engine)
    else:
        _insist_on_ours(found)


def check_encoding(engine: Engine) -> None:
    """Raises `ConfigError` if the database would refuse what some people are called."""
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
    """Raises `ConfigError`, with what to do, where the schema is not this version's; only reads."""
    _insist_on_ours(_revision(engine))


def _insist_on_ours(found: str | None) -> None:
    wanted = _scripts().get_current_head()
    if found == wanted:
        return
    if _is_older(found):
        raise ConfigError(
            f"The database's schema is {found or 'not there yet'}, this version needs {wanted}. "
            f"Run: {UPGRADE_COMMAND}"
        )
    raise ConfigError(
        f"The database's schema ({found}) is from a newer version of the bridge. "
        "Run that version, or restore a backup from before its upgrade."
    )


def upgrade(engine: Engine) -> None:
    """Run the missing migrations, all or none; of two processes at once, one finds it done.

    Raises `ConfigError` if the database is not one to work with.
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
        found = MigrationContext.configure(connection).get_current_revision()
        if not _is_older(found):
            return
        if engine.dialect.name == "postgresql":
            _lock_tables(connection)
        began = time.monotonic()
        if found:
            log.info("bringing the database to this version's schema", events=_count(connection))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    if found:
        took = round(time.monotonic() - began, 1)
        log.info("the database has this version's schema", seconds=took)
    if engine.dialect.name == "sqlite":
        _let_it_shrink(engine)


@contextmanager
def _without_foreign_keys(connection: Connection) -> Iterator[None]:
    """As SQLite asks for if a table is written anew (https://sqlite.org/lang_altertable.html § 7).
    Within a transaction it cannot be switched."""
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
    """The strongest locks first, in the order of the tables, which is that of the writers: who held
    a weaker one meanwhile would wait for whoever waits for it."""
    found = inspect(connection).get_table_names()
    ours = [name for name in metadata.tables if name in found]
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
    if ours:
        connection.execute(text(f"LOCK TABLE {', '.join(ours)} IN ACCESS EXCLUSIVE MODE"))


def _count(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(events)) or 0


def _let_it_shrink(engine: Engine) -> None:
    """A file made before `engine.py` asked for it has to be written anew, once."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.scalar(text("PRAGMA auto_vacuum")) == 0:
            connection.execute(text("PRAGMA auto_vacuum = INCREMENTAL"))
            with suppress(OperationalError):  # another uses the file: it shrinks after the next
                connection.execute(text("VACUUM"))


def _revision(engine: Engine) -> str | None:
    with reader(engine) as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _is_older(found: str | None) -> bool:
    return found is None or (found != _scripts().get_current_head() and _is_known(found))


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
