"""What an operator is told at start."""

import socket
import sys
from pathlib import Path

import requests
from sqlalchemy.engine import make_url

from tests.support.bridge_process import TOKEN, BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.samples import OPENED


def test_flask_run_logs_that_it_sends_nothing_and_no_secret(
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
