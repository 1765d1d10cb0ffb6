"""Fault 11: the SQLite file is read-only, by its modes and by what overrides them."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.faults.conftest import scaled
from tests.faults.ledger import Ledger, Load, event
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.waiting import wait_until

BOUND_BY_MODES = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
)
"""Runs a command so that modes bind it too, where it would be the superuser's."""

LONGEST_ANSWER = 10.0

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """To whoever opens the file from now on."""
    paths = [*folder.glob("bridge.db*"), folder]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    """Also to whoever has it open."""
    files = [folder / "bridge.db", folder / "bridge.db-wal"]
    if subprocess.run(["chattr", "+i", *files], capture_output=True, check=False).returncode:
        pytest.skip("only the superuser may make a file immutable, and not on every disk")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@on_sqlite
@pytest.mark.fault(11, "the SQLite file, its log and their folder read-only")
def test_a_file_that_was_read_only_is_written_once_it_may_be(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
    tmp_path: Path,
) -> None:
    scaled_bridge.prefix = BOUND_BY_MODES
    times = scaled(1, 10)
    for turn in range(times):
        with engine.connect():  # keeps the log in place, which is read-only then, not missing
            pass
        with read_only(tmp_path):
            # started now: what a process has opened for writing stays so
            web = scaled_bridge.start_web(DELIVER_IN_WEB="false")
            for number in range(3):
                assert not ledger.record(scaled_bridge.post(event(10 * turn + number)))
        for number in range(3):
            send_until_kept(scaled_bridge, ledger, event(10 * turn + number))
        scaled_bridge.kill(web)
    scaled_bridge.start_deliverer()
    assert_nothing_lost(engine, segment, ledger)
    seen(f"{times} times: {what_was_seen(segment, ledger)}")


@on_sqlite
@pytest.mark.fault(11, "the SQLite file and its log made immutable under load")
def test_a_file_that_becomes_immutable_is_refused_for_now(
    scaled_bridge: BridgeProcess,
    engine: Engine,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
    tmp_path: Path,
) -> None:
    times = scaled(1, 10)
    scaled_bridge.start_both()
    with Load(scaled_bridge.webhook, ledger, threads=4):
        for _ in range(times):
            ledger.wait_for_more(200)
            with immutable(tmp_path):
                ledger.wait_for_more(429)
            ledger.wait_for_more(200)
    assert_nothing_lost(engine, segment, ledger)
    seen(f"{times} times: {what_was_seen(segment, ledger)}")


def send_until_kept(bridge: BridgeProcess, ledger: Ledger, body: bytes) -> None:
    wait_until(lambda: ledger.record(bridge.post(body)), 10, bridge.log.read_text)


def assert_nothing_lost(engine: Engine, segment: FakeSegment, ledger: Ledger) -> None:
    assert ledger.answers.keys() == {200, 429}
    assert ledger.slowest < LONGEST_ANSWER
    ledger.wait_for_all(segment, seconds=60)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"


def what_was_seen(segment: FakeSegment, ledger: Ledger) -> str:
    return (
        f"{ledger.answers[429]:,} times 429, none slower than {ledger.slowest:.1f} s; "
        f"{ledger.summary(segment)}; integrity_check ok"
    )
