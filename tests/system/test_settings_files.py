"""Settings that depend on the file system and on other processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.bridge_process import ROOT


def test_an_sqlite_file_that_is_mounted_alone_is_refused(tmp_path: Path) -> None:
    """Its folder would go with the container, and the file's log with it."""
    elsewhere, mounted = Path(tempfile.mkdtemp(dir="/dev/shm"), "bridge.db"), tmp_path / "bridge.db"
    for file in (elsewhere, mounted):
        file.touch()
    load = "from app.config.settings import load_settings; load_settings()"
    mount = f'mount --bind {elsewhere} {mounted} || exit 42; exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mount, "sh", sys.executable, "-c", load],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    shutil.rmtree(elsewhere.parent)
    if "unshare" in done.stderr or done.returncode == 42:
        pytest.skip("only the superuser may mount, and not everywhere")
    assert "mounted alone" in done.stderr
    assert "bridge.db-wal" in done.stderr


START_TOGETHER = """
import os
from app.config.settings import load_settings

for each in range(25):
    os.mkdir(str(each))
    os.chdir(str(each))
    wait, go = os.pipe()
    for _ in range(8):
        if os.fork() == 0:
            os.close(go)
            os.read(wait, 1)
            os.write(1, f"{each} {load_settings().webhook_tokens[0]}\\n".encode())
            os._exit(0)
    os.close(go)
    for _ in range(8):
        os.wait()
    os.chdir("..")
"""
"""25 times eight processes: each waits until the last one has been made, then all go."""


def test_processes_that_start_at_once_agree_on_the_local_token() -> None:
    done = subprocess.run(
        [sys.executable, "-c", START_TOGETHER],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )

    lines = [f"{each} {Path(str(each), 'bridge.token').read_text()}" for each in range(25)]
    assert sorted(done.stdout.splitlines()) == sorted(lines * 8)
    assert len(set(lines)) == 25
