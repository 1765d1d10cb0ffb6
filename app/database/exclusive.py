"""Let one process at a time do a long job, for as long as it takes.

The system frees the lock when the process ends, however that happens. So there is no lease to
renew, and a process that is stopped in the middle keeps out others.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

from sqlalchemy import Engine, text

StillMine = Callable[[], None]
"""Raises `SQLAlchemyError` if the lock may be another process's by now: with PostgreSQL, after the
connection was lost."""


class InUse(Exception):
    """Another process does this job."""


@contextmanager
def exclusive(engine: Engine, job: str) -> Iterator[StillMine]:
    """Hold the lock for the job with this name. Raises `InUse` at once if another process does."""
    if engine.dialect.name == "sqlite":
        with _file(f"{engine.url.database}-{job}"):
            yield lambda: None
    else:
        with _transaction(engine, job) as still_mine:
            yield still_mine


@contextmanager
def _file(path: str) -> Iterator[None]:
    with open(path, "a") as file:  # noqa: PTH123 - beside the database, as its log is
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        yield


@contextmanager
def _transaction(engine: Engine, job: str) -> Iterator[StillMine]:
    """An open transaction that has read and written nothing. It holds up neither others nor
    PostgreSQL's own cleaning, and unlike a lock of the session it works through a pooler."""
    key = int.from_bytes(sha256(job.encode()).digest()[:8], signed=True)
    with engine.connect() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": key}):
            raise InUse

        def still_mine() -> None:
            connection.execute(text("SELECT 1"))

        yield still_mine
