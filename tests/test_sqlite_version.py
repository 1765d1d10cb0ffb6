"""An SQLite that can corrupt its file is refused, wherever a file is about to be used."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.database.engine import resets_log_wrongly
from tests.bridge_process import ROOT


@pytest.mark.parametrize(
    ("version", "has_it"),
    [
        ((3, 6, 23), False),  # no WAL yet
        ((3, 7, 0), True),
        ((3, 40, 1), True),  # Debian 12
        ((3, 43, 9), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 7), False),
        ((3, 45, 0), True),
        ((3, 45, 9), True),
        ((3, 49, 7), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 50, 12), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
        ((4, 0, 0), False),
    ],
)
def test_the_versions_with_the_bug_are_known(version: tuple[int, int, int], has_it: bool) -> None:
    assert resets_log_wrongly(version) is has_it


OPEN_WITH = """
import sqlite3.dbapi2, sys
sys.modules["pysqlite3"] = None
sqlite3.dbapi2.sqlite_version_info = {version}
sqlite3.dbapi2.sqlite_version = ".".join(map(str, {version}))
from sqlalchemy.engine import make_url
from app.errors import ConfigError
from app.database.engine import open_database
try:
    open_database(make_url({url!r})).connect()
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("version", "url", "said"),
    [
        ((3, 51, 2), "sqlite:///bridge.db", "SQLite 3.51.2 can corrupt its file"),
        ((3, 51, 3), "sqlite:///bridge.db", ""),
        ((3, 51, 2), "postgresql+psycopg://127.0.0.1:9/bridge", ""),
    ],
    ids=["bad", "good", "not in use"],
)
def test_a_file_is_opened_with_a_sound_sqlite_only(
    tmp_path: Path, version: tuple[int, int, int], url: str, said: str
) -> None:
    opened = subprocess.run(
        [sys.executable, "-c", OPEN_WITH.format(version=version, url=url)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert opened.stdout.startswith(said)
    assert bool(opened.stdout) is bool(said)
    assert (tmp_path / "bridge.db").exists() is (version == (3, 51, 3))
