"""`flask setup` and `flask --help`, as processes, also if the bridge cannot start."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.support import warm_start
from tests.support.bridge_process import ROOT

FILE = Path(".env")
"""In the current folder, which is one of the test's own."""

SECRETS = ["DRIP_WEBHOOK_TOKEN", "INSPECTOR_PASSWORD"]
NOBODYS = "DRIP_WEBHOOK_TOKEN=$(openssl rand -hex 24)\n"


@pytest.fixture(autouse=True)
def _in_a_folder_with_the_code(tmp_path: Path) -> None:
    for name in ("wsgi.py", "app"):
        (tmp_path / name).symlink_to(ROOT / name)


def flask(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Without `--app`: Flask finds wsgi.py."""
    return warm_start.run("flask", arguments, Path.cwd(), {"PATH": os.environ["PATH"], **environ})


def assert_no_value_printed(done: subprocess.CompletedProcess[str]) -> None:
    for value in dotenv_values(FILE).values():
        assert value is not None
        assert value not in done.stdout + done.stderr


def test_missing_secrets_are_written_and_not_printed() -> None:
    done = flask("setup")

    assert done.returncode == 0, done.stderr
    assert [*dotenv_values(FILE)] == SECRETS
    assert all(len(value or "") >= 32 for value in dotenv_values(FILE).values())
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert f"Written into {FILE.absolute()}: {', '.join(SECRETS)}." in done.stdout
    assert "Still to be set:\n  SEGMENT_WRITE_KEY: " in done.stdout
    assert_no_value_printed(done)


def test_a_token_that_drip_may_have_is_used_on() -> None:
    Path("bridge.token").write_text("the-token-that-drip-has")

    flask("setup")

    assert dotenv_values(FILE)["DRIP_WEBHOOK_TOKEN"] == "the-token-that-drip-has"


def test_nothing_is_written_twice() -> None:
    flask("setup", "--segment-to-drip")
    before = FILE.read_bytes()

    done = flask("setup", "--segment-to-drip")

    assert FILE.read_bytes() == before
    assert [*dotenv_values(FILE)] == [*SECRETS, "SEGMENT_WEBHOOK_SECRET"]
    assert "No secret is missing." in done.stdout


def test_lines_that_are_there_stay_and_what_is_wrong_is_reported() -> None:
    before = f"# ours\n{NOBODYS}INSPECTOR_PASSWORD=\nSEGMENT_REGION=asia"
    FILE.write_text(before)
    FILE.chmod(0o644)

    done = flask("setup")

    assert done.returncode == 1
    assert FILE.read_text().startswith(f"{before}\nINSPECTOR_PASSWORD=")
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert "DRIP_WEBHOOK_TOKEN is still to be filled in" in done.stderr
    assert "SEGMENT_REGION must be one of" in done.stderr
    assert "delete its line and run flask setup again" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_environment_has_is_not_written() -> None:
    done = flask("setup", DRIP_WEBHOOK_TOKEN="a-token-of-the-environment")

    assert done.returncode == 0
    assert [*dotenv_values(FILE)] == ["INSPECTOR_PASSWORD"]


def test_a_dyno_is_given_no_file() -> None:
    done = flask("setup", DYNO="run.1")

    assert done.returncode == 1
    assert "heroku config:set" in done.stderr
    assert not FILE.exists()


def test_a_file_that_cannot_be_written_is_reported() -> None:
    FILE.mkdir()

    done = flask("setup")

    assert done.returncode == 1
    assert f"{FILE.absolute()} cannot be read: Is a directory" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["url", "deliver", "run", "shell"])
def test_no_other_command_runs_with_wrong_settings(command: str) -> None:
    FILE.write_text("SEGMENT_REGION=asia\n")

    done = flask(command)

    assert done.returncode == 1
    assert "SEGMENT_REGION must be one of" in done.stderr
    assert "Traceback" not in done.stderr


def commands(help_text: str) -> set[str]:
    lines = help_text.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    return {line.split()[0] for line in lines}


def test_the_help_lists_the_commands_of_the_bridge_alone() -> None:
    done = flask("--help")

    assert {"deliver", "events", "setup", "url"} <= commands(done.stdout)
    assert not commands(done.stdout) & {"run", "shell", "routes"}
    assert "the commands of the Drip-Segment bridge" in done.stdout
    assert "--until-end-of-input" not in flask("deliver", "--help").stdout


def test_the_help_with_wrong_settings_lists_setup_and_the_errors() -> None:
    FILE.write_text("SEGMENT_REGION=asia\n")

    done = flask("--help")

    assert commands(done.stdout) == {"setup"}
    assert "SEGMENT_REGION must be one of" in done.stderr


def test_flasks_own_commands_still_run() -> None:
    assert "/webhooks/drip" in flask("routes").stdout
