"""Fault 11: there is no room for the SQLite file to grow."""

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import psutil
import pytest
from sqlalchemy import make_url, text

from app.database.engine import open_database
from tests.faults.conftest import FULL, at_this_scale, scaled
from tests.faults.ledger import Ledger, Load
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment

LONGEST_ANSWER = 10.0


class Disk(Protocol):
    """Where the file is."""

    folder: Path

    def fill(self, gunicorn: int) -> None:
        """From now on nothing can grow; `gunicorn` is the process that runs the bridge."""

    def free(self, gunicorn: int) -> None:
        """There is room again."""


class SmallDisk:
    """A real one, which is really full. Only the superuser may mount it.

    Not in a folder of the test: what a killed run leaves mounted, pytest could not clear away.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="full-disk-"))
        size = ("-t", "tmpfs", "-o", "size=8m", "tmpfs")
        subprocess.run(["mount", *size, str(self.folder)], check=True)
        self._ballast = self.folder / "ballast"

    def fill(self, gunicorn: int) -> None:  # noqa: ARG002 - the other kind needs it
        with self._ballast.open("wb", buffering=0) as ballast:
            while _writes(ballast.fileno(), bytes(4096)):
                pass

    def free(self, gunicorn: int) -> None:  # noqa: ARG002
        self._ballast.unlink()

    def end(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)
        self.folder.rmdir()


class SizeLimit:
    """No file may grow beyond what the largest has now."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="full-disk-"))

    def fill(self, gunicorn: int) -> None:
        self._limit(gunicorn, max(path.stat().st_size for path in self.folder.glob("bridge.db*")))

    def free(self, gunicorn: int) -> None:
        self._limit(gunicorn, resource.RLIM_INFINITY)

    def end(self) -> None:
        shutil.rmtree(self.folder)

    def _limit(self, gunicorn: int, size: int) -> None:
        for worker in psutil.Process(gunicorn).children(recursive=True):
            _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (size, hard))


def _writes(file: int, content: bytes) -> bool:
    try:
        return os.write(file, content) > 0
    except OSError:
        return False


MAY_MOUNT = os.geteuid() == 0


@pytest.fixture(params=[SmallDisk, SizeLimit] if FULL else [SmallDisk if MAY_MOUNT else SizeLimit])
def disk(request: pytest.FixtureRequest) -> Iterator[Disk]:
    if request.param is SmallDisk and not MAY_MOUNT:
        pytest.skip("only the superuser may mount a disk")
    disk = request.param()
    yield disk
    disk.end()


@pytest.mark.usefixtures("database_url")  # for its name in the table
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.fault(11, "no room for the SQLite file to grow")
def test_a_full_disk_refuses_for_now_and_loses_nothing(
    disk: Disk,
    segment: FakeSegment,
    ledger: Ledger,
    seen: Callable[[str], None],
    tmp_path: Path,
) -> None:
    url = make_url(f"sqlite:///{disk.folder}/bridge.db")
    times = scaled(1, 10)
    with BridgeProcess(url, segment.url, tmp_path) as bridge:
        web = at_this_scale(bridge).start_both()
        with Load(bridge.webhook, ledger, threads=4):
            for _ in range(times):
                ledger.wait_for_more(200)
                disk.fill(web.pid)
                ledger.wait_for_more(429)
                disk.free(web.pid)
                ledger.wait_for_more(200)
        ledger.wait_for_all(segment, seconds=60)
    assert ledger.answers.keys() == {200, 429}
    assert ledger.slowest < LONGEST_ANSWER
    engine = open_database(url)
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA integrity_check")).scalar_one() == "ok"
    engine.dispose()
    seen(
        f"{type(disk).__name__}, {times} times: {ledger.answers[429]:,} times 429, none slower "
        f"than {ledger.slowest:.1f} s; {ledger.summary(segment)}; integrity_check ok"
    )
