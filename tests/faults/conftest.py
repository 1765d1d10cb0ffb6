"""What the fault tests share: their scale, their ledger, and the table of what was seen."""

import os
from collections.abc import Callable, Generator, Iterator

import pytest

from tests.bridge_process import BridgeProcess
from tests.faults.ledger import Ledger

FULL = os.environ.get("FAULT_SCALE") == "full"

_rows: list[tuple[int, str, str, str]] = []
"""(number, what was injected, engine, what was seen)."""


def scaled(small: int, full: int) -> int:
    """How often, by FAULT_SCALE."""
    return full if FULL else small


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def bridge(bridge_process: BridgeProcess) -> BridgeProcess:
    """Processes over a database that has the schema, on each engine in turn."""
    assert bridge_process.flask("db", "upgrade").returncode == 0
    return bridge_process


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
