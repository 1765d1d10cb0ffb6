"""Look after SQLite's own file: rewrite it, empty its log, return the pages that it does not use.

Deleted rows are overwritten with zeros (`engine.py` sets `secure_delete`), but copies that SQLite
left behind when it moved rows between pages are not. Only writing the whole file anew removes them.
"""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.database.engine import BUSY_SECONDS, LOOK_EVERY, describe

CHECKPOINTS = 10
CHECKPOINT_MILLISECONDS = 100
CHECKPOINT_PAUSE = 0.5
"""Seconds between two attempts to empty the log. While an attempt waits for a reader, writers wait
too, so there are many short ones."""


def size_in_megabytes(connection: Connection) -> float:
    """How large the file is."""
    size: float | None = connection.scalar(_MEGABYTES)
    return size or 0.0


_MEGABYTES = text("SELECT page_count * page_size / 1e6 FROM pragma_page_count, pragma_page_size")


def rewrite(connection: Connection) -> str:
    """Write the file anew, during which writers wait. Returns the driver's error, or ""."""
    connection.execute(text("PRAGMA busy_timeout = 0"))
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute(text("VACUUM"))
        except OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                return describe(error)
            time.sleep(LOOK_EVERY)  # SQLite's own waiting would never get a turn among writers
        else:
            return ""


def empty_log(connection: Connection, wait: Callable[[float], object] = time.sleep) -> bool:
    """Truncate the write-ahead log, which still has the old pages. Returns False if other
    connections keep reading from it."""
    connection.execute(text(f"PRAGMA busy_timeout = {CHECKPOINT_MILLISECONDS}"))
    for _ in range(CHECKPOINTS):
        busy, _, _ = connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()
        if not busy:
            return True
        wait(CHECKPOINT_PAUSE)
    return False


def release_free_pages(connection: Connection, most: int) -> int:
    """Return up to `most` unused pages to the operating system. Returns how many were returned, 0
    if another connection holds the file."""
    free = _free_pages(connection)
    driver: Any = connection.connection.driver_connection
    try:
        # SQLite frees one page for each row that is fetched, and SQLAlchemy sees no rows to fetch
        driver.execute(f"PRAGMA incremental_vacuum({most})").fetchall()
    except driver.OperationalError:  # locked: the next pruning tries again
        return 0
    return max(0, free - _free_pages(connection))


def _free_pages(connection: Connection) -> int:
    free: int = connection.execute(text("PRAGMA freelist_count")).scalar_one()
    return free
