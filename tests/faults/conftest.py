"""What the fault tests share: their scale, their ledger, and the table of what was seen."""

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from tests.faults.hurried import SPEED
from tests.faults.ledger import Ledger
from tests.faults.own_postgres import Postgres
from tests.support.bridge_process import BridgeProcess
from tests.support.databases import put_schema
from tests.support.drip_process import send_to_drip
from tests.support.fake_drip_rest import FakeDripRest

FULL = os.environ.get("FAULT_SCALE") == "full"

_rows: list[tuple[int, str, str, str]] = []
"""(number, what was injected, engine, what was seen)."""


def scaled(small: int, full: int) -> int:
    """How often, by FAULT_SCALE."""
    return full if FULL else small


def seconds(full: float) -> float:
    """How long the bridge's own wait of so many seconds is, by FAULT_SCALE."""
    return full if FULL else full / SPEED


def engines(*small: str) -> pytest.MarkDecorator:
    """Both at full scale; where the engine matters little, only the given ones at the small."""
    chosen = ("sqlite", "postgresql") if FULL else small
    return pytest.mark.parametrize("database_url", chosen, indirect=True)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def bridge(bridge_process: BridgeProcess, engine: Engine) -> BridgeProcess:  # noqa: ARG001
    """Processes over a database that has the schema, on each engine in turn."""
    return bridge_process


@pytest.fixture
def scaled_bridge(engine: Engine, bridge_process: BridgeProcess) -> BridgeProcess:
    """The same, as patient as `seconds` says; `engine` reads its rows."""
    assert str(engine.url.database) in bridge_process.environ["DATABASE_URL"]
    return at_this_scale(bridge_process)


@pytest.fixture
def drip() -> Iterator[FakeDripRest]:
    """A Drip whose batches take a second."""
    with FakeDripRest(batch_delay=1.0) as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def to_drip(bridge: BridgeProcess, drip: FakeDripRest) -> BridgeProcess:
    """Processes that send to it, over a database of each engine that has the schema."""
    send_to_drip(bridge, drip, DRIP_BATCH_SETTLE="0.03")
    return bridge


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    # a short path: a Unix socket's is limited to 107 characters
    server = Postgres(Path(tempfile.mkdtemp(prefix="pg")))
    yield server
    server.end()


@pytest.fixture
def mortal_postgres_url(own_postgres: Postgres) -> str:
    """A database with the schema, on the server that may be killed; dropped with it."""
    own_postgres.start()
    name = f"test_{uuid4().hex}"
    with psycopg.connect(own_postgres.admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = make_url(own_postgres.admin).set(database=name)
    put_schema(url.set(drivername="postgresql+psycopg"))
    return url.render_as_string(hide_password=False)


def at_this_scale(bridge: BridgeProcess) -> BridgeProcess:
    """As patient as `seconds` says."""
    bridge.app = "wsgi:app" if FULL else "tests.faults.hurried:hurried()"
    return bridge


@pytest.fixture
def attacked(tmp_path: Path) -> Iterator[BridgeProcess]:
    """gunicorn over a file, for what does not reach the database or Segment."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, "http://127.0.0.1:9", tmp_path) as process:
        process.start_web(DELIVER_IN_WEB="false")
        yield process


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Say what was seen, with counts: a row of the table, once the test has passed."""
    said: list[str] = []
    yield said.append
    if request.node.stash.get(_passed, False):
        number, injected = request.node.get_closest_marker("fault").args
        callspec = getattr(request.node, "callspec", None)
        engine = callspec.params.get("database_url", "") if callspec else ""
        _rows.append((number, injected, engine, "; ".join(said)))


_passed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself passed, for the fixture above."""
    report = yield
    if call.when == "call":
        item.stash[_passed] = report.passed
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table, as Markdown."""
    if not _rows:
        return
    terminalreporter.section(f"faults ({'full' if FULL else 'small'} scale)")
    terminalreporter.write_line("| # | injected | engine | seen |\n|---|---|---|---|")
    for number, injected, engine, said in sorted(_rows):
        terminalreporter.write_line(f"| {number} | {injected} | {engine} | {said} |")
