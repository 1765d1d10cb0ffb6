"""Processes that upgrade one database at once, and a file that another version made."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.schema import upgrade
from app.outbox.store import Store
from tests.support.bridge_process import ROOT
from tests.support.builders import message

ARRIVAL = message("drip-1")

UPGRADE = """
import sys
from sqlalchemy.engine import make_url
from app.database.engine import open_database
from app.database.schema import make_ready, upgrade

engine = open_database(make_url(sys.argv[1]))
bring_up = make_ready if engine.dialect.name == "sqlite" else upgrade
print("ready", flush=True)
input()
bring_up(engine)
make_ready(engine)
"""


def test_processes_that_upgrade_at_once_all_succeed(empty: Engine) -> None:
    url = empty.url.render_as_string(hide_password=False)
    processes = [_start(url) for _ in range(3)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=30)[1] for process in processes]

    assert ends == [""] * 3
    assert [process.returncode for process in processes] == [0] * 3
    assert Store(empty, "segment").put([ARRIVAL]) == {"drip-1"}


def _start(url: str) -> Any:
    return subprocess.Popen(
        [sys.executable, "-c", UPGRADE, url],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_file_of_an_older_version_is_rewritten_to_shrink(tmp_path: Path) -> None:
    path = tmp_path / "bridge.db"
    code = "import sys, pysqlite3 as s; s.connect(sys.argv[1]).execute('CREATE TABLE old (id)')"
    subprocess.run([sys.executable, "-c", code, path], check=True)
    engine = open_database(make_url(f"sqlite:///{path}"))
    upgrade(engine)
    with engine.begin() as connection:
        assert connection.scalar(text("PRAGMA auto_vacuum")) == 2
    engine.dispose()
