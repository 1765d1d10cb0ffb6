"""What an operator is told at start."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from sqlalchemy.engine import make_url

from app import create_app
from app.config.settings import Settings
from app.config.warnings import startup_warnings
from tests.bridge_process import ROOT, TOKEN, BridgeProcess
from tests.conftest import Said
from tests.fake_segment import FakeSegment

OPENED = (ROOT / "samples" / "opened_email.json").read_bytes()


def test_nothing_is_said_if_there_is_nothing_to_say(settings: Settings) -> None:
    assert list(startup_warnings(settings)) == []


def test_a_misspelt_variable_is_pointed_out(settings: Settings, said: Said) -> None:
    create_app(replace(settings, unknown=("SEGMENT_WRITEKEY",)))

    assert "SEGMENT_WRITEKEY is no setting of the bridge and has no effect." in said.text
    assert "Is SEGMENT_WRITE_KEY meant?" in said.text


@pytest.mark.parametrize("letter", ["+", "&", "#", "%", " ", "é"])
def test_a_token_that_a_url_would_change_is_pointed_out(settings: Settings, letter: str) -> None:
    tokens = (TOKEN, f"sixteen{letter}letters!")

    (sentence,) = startup_warnings(replace(settings, webhook_tokens=tokens))
    assert sentence.startswith("DRIP_WEBHOOK_TOKEN has a letter that means something else in a URL")
    assert "letters!" not in sentence


@pytest.mark.parametrize("token", ["kT9-_.~0123456789", "aGVsbG8/d29ybGQ=aGVsbG8="])
def test_a_token_that_a_url_keeps_is_fine(settings: Settings, token: str) -> None:
    assert list(startup_warnings(replace(settings, webhook_tokens=(token,)))) == []


def test_a_file_beside_the_code_that_is_not_read_is_pointed_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / ".env").touch()
    monkeypatch.setattr("app.config.warnings.CODE", tmp_path / "code")

    assert [
        f"{tmp_path}/code/.env is not read" in sentence for sentence in startup_warnings(settings)
    ] == [True]
    monkeypatch.chdir(tmp_path / "code")
    assert list(startup_warnings(settings)) == []


def test_flask_run_says_that_it_sends_nothing_and_logs_no_secret(
    tmp_path: Path, segment: FakeSegment
) -> None:
    with BridgeProcess(
        make_url(f"sqlite:///{tmp_path}/bridge.db"), segment.url, tmp_path
    ) as bridge:
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "run"]
        bridge.start([*command, "--port", str(bridge.port)])
        assert bridge.post(OPENED).json()["status"] == "accepted"
        assert (
            requests.post(bridge.webhook, params={"token": "a wrong one"}, timeout=5).status_code
            == 401
        )
        with socket.create_connection(("127.0.0.1", bridge.port), timeout=5) as caller:
            caller.sendall(f"POST /webhooks/drip?token={TOKEN} NONSENSE\r\n\r\n".encode())
            assert b"400" in caller.recv(65536)
        log = bridge.log.read_text()
    assert f"flask run accepts webhooks on port {bridge.port}, and sends nothing" in log
    assert "token" not in log
