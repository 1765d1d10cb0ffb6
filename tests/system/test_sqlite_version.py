"""An SQLite that can corrupt its file is refused, wherever a file is about to be used."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bridge_process import ROOT

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
