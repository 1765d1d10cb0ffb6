"""What an operator is told at start."""

import socket
import sys
from pathlib import Path

import requests
from sqlalchemy.engine import make_url

from tests.support.bridge_process import ROOT, TOKEN, BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.samples import OPENED
from tests.support.waiting import wait_until


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


def test_each_process_logs_what_it_runs_with(bridge: BridgeProcess) -> None:
    bridge.start_web()
    bridge.wait_for_log('event="deliverer starting" version=')
    log = bridge.log.read_text()
    what = f"database=sqlite segment={bridge.environ['SEGMENT_HOST'].removeprefix('http://')}"
    for process in ("web", "deliverer"):
        (line,) = (line for line in log.splitlines() if f'event="{process} starting"' in line)
        assert f'{what} write_keys="one for all accounts" drip=off' in line
    assert 'event="listening at every address, because' in log


def test_a_taken_port_is_reported_at_once(bridge: BridgeProcess) -> None:
    with socket.create_server(("", bridge.port)):
        done = bridge.run([*bridge.GUNICORN, bridge.app])
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"Port {bridge.port} is taken")
    assert f"PORT={bridge.port + 1} make run" in done.stderr
    assert "Connection in use" not in done.stderr  # gunicorn's words, each second for five
    assert "Traceback" not in done.stderr


def test_make_run_takes_port_and_processes_from_the_file(bridge: BridgeProcess) -> None:
    for name in ("Makefile", "gunicorn.conf.py", "wsgi.py", "app"):
        (bridge.folder / name).symlink_to(ROOT / name)
    port = bridge.environ.pop("PORT")
    (bridge.folder / ".env").write_text(f"PORT={port}\nWEB_CONCURRENCY=2\n")
    installed = ["-o", ".venv/run", f"BIN={Path(sys.executable).parent}"]
    bridge.start(["make", *installed, "run"], WEB_CONCURRENCY="")
    bridge.wait_for_log(f"Listening at: http://127.0.0.1:{port} ")
    log = bridge.log.read_text
    wait_until(lambda: log().count("Booting worker") == 2, report=log)
    assert f"\n  http://127.0.0.1:{port}/login?ticket=" in log()
    bridge.secrets.remove(TOKEN)  # the command prints it, for whoever starts the bridge
