"""One reading of the environment and of `.env`, by gunicorn and by Flask's command line."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app.config.environment import read_environment
from app.config.settings import load_settings
from app.errors import ConfigError
from tests.support import warm_start
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.samples import OPENED
from tests.support.waiting import wait_until

TOKEN = "a-token-for-the-tests"

TOLD = """
import json, os
from dataclasses import asdict
from flask import Flask
from app.config.settings import load_settings

names = ("write_key", "segment_host", "webhook_tokens", "bind", "workers", "inspector_link")
said = asdict(load_settings())
print(json.dumps({
    **{name: said[name] for name in names},
    "database": said["database_url"].database,
    "proxy": os.environ.get("HTTPS_PROXY"),
    "debug": os.environ.get("FLASK_DEBUG"),
}))
app = Flask("told")
"""

MODULE = [sys.executable, "told.py"]
"""As gunicorn does, whose configuration loads the settings."""

FLASK = [sys.executable, "-m", "flask", "--app", "told", "routes"]
"""As each command does."""

OTHERS = f"""
DATABASE_URL=sqlite:////tmp/other.db
SEGMENT_WRITE_KEY=key-of-another-project
SEGMENT_REGION=eu
DRIP_WEBHOOK_TOKEN={TOKEN}
PORT=9999
DYNO=web.1
WEB_CONCURRENCY=7
HTTPS_PROXY=http://127.0.0.1:9
FLASK_DEBUG=1
"""

OWN = {"DRIP_WEBHOOK_TOKEN": TOKEN, "SEGMENT_WRITE_KEY": "our-key"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of the bridge, in one that may be another project's."""
    folder = tmp_path / "bridge"
    folder.mkdir()
    (folder / "told.py").write_text(TOLD)
    return folder


def run(
    command: list[str], folder: Path, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environ}
    if command[:3] == FLASK[:3]:
        return warm_start.run("flask", command[3:], folder, environ)
    return subprocess.run(
        command,
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def told(command: list[str], folder: Path, environ: Mapping[str, str]) -> object:
    done = run(command, folder, environ)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[0])


@pytest.mark.parametrize(
    ("file", "environ"),
    [
        ("../.env", {}),
        ("../.env", {**OWN, "SEGMENT_WRITE_KEY": "key-of-another-project"}),
        ("../.flaskenv", OWN),
        (".flaskenv", OWN),
    ],
)
def test_a_file_that_gunicorn_ignores_is_ignored_by_flask(
    folder: Path, file: str, environ: dict[str, str]
) -> None:
    without = told(MODULE, folder, environ)
    (folder / file).write_text(OTHERS)

    assert told(FLASK, folder, environ) == without


def test_the_own_file_is_the_same_to_everybody(folder: Path) -> None:
    (folder / ".env").write_text(OTHERS)

    by_gunicorn = told(MODULE, folder, {})

    assert told(FLASK, folder, {}) == by_gunicorn
    assert by_gunicorn == {
        "write_key": "key-of-another-project",
        "segment_host": "https://events.eu1.segmentapis.com",
        "webhook_tokens": [TOKEN],
        "bind": ["127.0.0.1:9999"],
        "workers": 7,
        "inspector_link": True,  # neither PORT nor DYNO there means that a platform runs us
        "database": "/tmp/other.db",
        "proxy": "http://127.0.0.1:9",
        "debug": "1",
    }


def test_a_file_that_flask_is_asked_to_read_is_refused(folder: Path) -> None:
    (folder / "production.env").write_text(OTHERS)

    done = run([*FLASK[:3], "--env-file", "production.env", *FLASK[3:]], folder, {})

    assert done.returncode == 1
    assert "flask --env-file is not for the bridge" in done.stderr


def test_a_flask_run_address_of_another_project_is_refused(folder: Path) -> None:
    (folder / "../.env").write_text("FLASK_RUN_HOST=0.0.0.0\n")

    done = run([*FLASK[:-1], "run"], folder, {})

    assert done.returncode == 1
    assert "flask run has taken FLASK_RUN_HOST from" in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        "SEGMENT_REGION=eu\n".encode("utf-16"),
        "SEGMENT_REGION=eu\n".encode("utf-16-le"),
        "SEGMENT_REGION=é\n".encode("latin-1"),
    ],
)
def test_a_file_in_another_encoding_is_reported(content: bytes) -> None:
    Path(".env").write_bytes(content)

    with pytest.raises(ConfigError, match=r"/\.env is not in UTF-8"):
        load_settings()


@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_file_may_be_written_on_windows(mark: str, end: str) -> None:
    Path(".env").write_bytes(f"{mark}SEGMENT_REGION=eu{end}LOG_LEVEL=error{end}".encode())

    settings = load_settings()

    assert settings.segment_host == "https://events.eu1.segmentapis.com"
    assert settings.log_level == "error"


def test_a_folder_in_the_files_place_is_reported() -> None:
    """Docker makes one if there is no such file to mount."""
    Path(".env").mkdir()

    with pytest.raises(ConfigError, match=r"/\.env cannot be read: Is a directory"):
        load_settings()


def test_a_blank_in_the_environment_leaves_it_to_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("SEGMENT_REGION=eu\n")
    monkeypatch.setenv("SEGMENT_REGION", " ")

    assert read_environment({"SEGMENT_REGION"}).all["SEGMENT_REGION"] == "eu"


def test_a_changed_file_counts_when_it_is_read_again() -> None:
    """As at SIGHUP."""
    for region, host in (
        ("us", "https://api.segment.io"),
        ("eu", "https://events.eu1.segmentapis.com"),
    ):
        Path(".env").write_text(f"SEGMENT_REGION={region}\n")
        assert load_settings().segment_host == host


def test_events_wait_for_the_own_key_beside_another_project(
    folder: Path, segment: FakeSegment
) -> None:
    url = make_url(f"sqlite:///{folder}/bridge.db")
    (folder / "../.env").write_text(
        "SEGMENT_WRITE_KEY=key-of-another-project\nDATABASE_URL=sqlite:///x.db\n"
    )
    with BridgeProcess(url, segment.url, folder) as bridge:
        del bridge.environ["SEGMENT_WRITE_KEY"]
        bridge.start_web()
        assert bridge.post(OPENED).json()["status"] == "accepted"
        assert bridge.flask("deliver", "--once").stdout == "Nothing was due.\n"
        assert segment.message_ids() == []


def test_gunicorn_listens_and_multiplies_as_in_the_file(folder: Path, segment: FakeSegment) -> None:
    url = make_url(f"sqlite:///{folder}/bridge.db")
    with BridgeProcess(url, segment.url, folder) as bridge:
        port = bridge.environ.pop("PORT")
        (folder / ".env").write_text(f"PORT={port}\nWEB_CONCURRENCY=2\n")
        bridge.start_web()
        bridge.wait_for_log(f"Listening at: http://127.0.0.1:{port} ")
        # the first worker may answer before the second has started
        wait_until(
            lambda: bridge.log.read_text().count("Booting worker") == 2, report=bridge.log.read_text
        )
