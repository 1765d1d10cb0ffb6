"""Fault 15: what the bridge cannot work with safely, it does not start with."""

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.fake_segment import FakeSegment

COMMANDS = {
    "gunicorn": [*BridgeProcess.GUNICORN],
    "deliver": [sys.executable, "-m", "flask", "--app", "wsgi", "deliver"],
}

NO_BUNDLED_SQLITE = """
import sqlite3.dbapi2 as system
if system.sqlite_version_info >= (3, 51, 3):  # this machine's own is sound
    system.sqlite_version_info, system.sqlite_version = (3, 51, 2), "3.51.2"
raise ImportError
"""


@pytest.fixture
def bridge(tmp_path: Path, segment: FakeSegment) -> Iterator[BridgeProcess]:
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as process:
        yield process


def refusals(bridge: BridgeProcess, **environ: str) -> str:
    """What each of the commands says, having ended by itself; the same but for its dressing."""
    said = set()
    for command in COMMANDS.values():
        ended = bridge.run(command, **environ)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        said.add(re.sub(r"^(timestamp=.*\n)*(Error: )?", "", ended.stderr).strip())
    assert len(said) == 1
    return said.pop()


@pytest.mark.fault(15, "an SQLite library with the WAL-reset bug")
def test_an_sqlite_that_can_corrupt_its_file_is_refused(
    bridge: BridgeProcess, seen: Callable[[str], None]
) -> None:
    (bridge.folder / "pysqlite3.py").write_text(NO_BUNDLED_SQLITE)
    said = refusals(bridge, PYTHONPATH=f"{bridge.folder}:{ROOT}")
    assert re.match(r"SQLite 3[.\d]+ can corrupt its file", said)
    assert "pip install pysqlite3" in said
    assert "set DATABASE_URL to a PostgreSQL" in said
    assert not (bridge.folder / "bridge.db").exists()
    seen(f"{len(COMMANDS)} commands, exit 1: {said}")


@pytest.mark.fault(15, "`DYNO` without a database")
def test_a_dyno_without_a_postgresql_is_refused(
    bridge: BridgeProcess, seen: Callable[[str], None]
) -> None:
    said = refusals(bridge, DYNO="web.1", DATABASE_URL="")
    assert "DATABASE_URL must name a PostgreSQL if DYNO is set: the dyno's own disk" in said
    assert "Example: DATABASE_URL=postgres://" in said
    seen(f"{len(COMMANDS)} commands, exit 1: {said.splitlines()[-1].strip()}")


@pytest.mark.fault(15, "a schema from a newer version")
def test_a_schema_from_the_future_is_refused_and_left_as_it_is(
    bridge_process: BridgeProcess, engine: Engine, seen: Callable[[str], None]
) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    said = refusals(bridge_process)
    assert "schema (9999) is from a newer version" in said
    assert "Run that version, or restore a backup from before its upgrade." in said
    with engine.connect() as connection:
        assert (
            connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        )
    seen(f"{len(COMMANDS)} commands, exit 1: {said}")
