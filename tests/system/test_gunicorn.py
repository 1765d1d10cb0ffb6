"""What only the real server shows: limits on the wire, refusing to start, what its log holds."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from sqlalchemy.engine import URL, make_url

from app.database.engine import open_database
from app.outbox.store import Store
from tests.support.bridge_process import ROOT, TOKEN, BridgeProcess
from tests.support.builders import rows
from tests.support.fake_segment import FakeSegment
from tests.support.samples import OPENED

MIB = 1 << 20


def padded(size: int) -> bytes:
    return OPENED + b" " * (size - len(OPENED))


def in_chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 65536):
        yield body[start : start + 65536]


def test_a_body_over_1_mib_is_413_also_chunked(
    bridge: BridgeProcess,
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    assert bridge.post(padded(MIB)).json()["status"] == "accepted"
    assert bridge.post(in_chunks(padded(MIB))).json()["status"] == "duplicate"
    for body in (padded(MIB + 1), in_chunks(padded(MIB + 1)), padded(3 * MIB)):
        answer = bridge.post(body)
        assert (answer.status_code, answer.json()["status"]) == (413, "refused")
    assert bridge.post(OPENED).json()["status"] == "duplicate"


@pytest.mark.parametrize(
    "framing",
    [
        f"Content-Length: {len(OPENED)}\r\n\r\n".encode(),
        f"Transfer-Encoding: chunked\r\n\r\n{len(OPENED):x}\r\n".encode(),
    ],
)
def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(
    bridge: BridgeProcess, framing: bytes
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    host = bridge.base.removeprefix("http://")
    head = f"POST /webhooks/drip?token={TOKEN} HTTP/1.1\r\nHost: {host}\r\n".encode()
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=10) as half:
        half.sendall(head + framing + OPENED[:-20])
        half.shutdown(socket.SHUT_WR)
        assert half.recv(65536).startswith(b"HTTP/1.1 400 ")
    engine = open_database(make_url(bridge.environ["DATABASE_URL"]))
    assert rows(Store(engine, "segment")) == {}
    engine.dispose()


TOLD_AT_BIRTH = f"""
import os, signal, time
from pathlib import Path

exec(compile(Path("{ROOT}/gunicorn.conf.py").read_text(), "gunicorn.conf.py", "exec"))
as_shipped = post_fork

def tell():
    os.kill(os.getppid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1.5)  # and the master, too, has told it

def post_fork(server, worker):
    %s
"""


@pytest.mark.parametrize(
    "order", ["tell(); as_shipped(server, worker)", "as_shipped(server, worker); tell()"]
)
def test_a_worker_stopped_before_it_has_handlers_ends(bridge: BridgeProcess, order: str) -> None:
    config = bridge.folder / "told_at_birth.py"
    config.write_text(TOLD_AT_BIRTH % order)
    process = bridge.run([*bridge.GUNICORN[:-1], str(config)])
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr


def test_a_connection_is_kept_for_the_next_webhook(bridge: BridgeProcess) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    with requests.Session() as session:
        for params, status in (({}, 401), ({"token": TOKEN}, 200), ({"token": TOKEN}, 200)):
            assert session.post(bridge.webhook, data=OPENED, params=params).status_code == status


def test_the_log_has_events_and_no_secret_or_person(bridge: BridgeProcess) -> None:
    bridge.start_web()
    accepted = bridge.post(OPENED).json()
    bridge.post(b"{broken", auth=("ana@example.com", TOKEN), params={})
    bridge.post(OPENED, params={"token": "a-wrong-token-of-somebody"})
    log = bridge.log.read_text()
    assert accepted["message_id"] in log
    person = ("ana@example.com", "Hola", "u-81", "s9x")
    for secret in (TOKEN, "a-wrong-token", "key-of-the-process", "?token", *person):
        assert secret not in log


def refusal(bridge: BridgeProcess, **environ: str) -> str:
    """The log of a gunicorn that ended by itself, within the time a person would wait."""
    process = bridge.run(bridge.GUNICORN, **environ)
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    return process.stderr


def test_gunicorn_refuses_bad_settings_and_names_them_all(bridge: BridgeProcess) -> None:
    said = refusal(bridge, DYNO="web.1", DRIP_WEBHOOK_TOKEN="", SEGMENT_REGION="mars")
    for name in ("DATABASE_URL", "DRIP_WEBHOOK_TOKEN", "SEGMENT_REGION"):
        assert f"\n  {name} " in said


def test_gunicorn_without_its_configuration_ends_at_once(bridge: BridgeProcess) -> None:
    """It reads the file by itself only from the folder it is started in."""
    process = bridge.run(
        [*bridge.GUNICORN[:3], "--no-control-socket", "--chdir", str(ROOT), "wsgi:app"]
    )
    assert process.returncode == 4
    assert "Traceback" not in process.stderr
    assert process.stderr.count("gunicorn has not read the bridge's own gunicorn.conf.py") == 1


@pytest.mark.parametrize(("name", "value"), [("WEB_CONCURRENCY", "0"), ("PORT", "99999")])
def test_gunicorn_refuses_a_number_that_is_none(
    bridge: BridgeProcess, name: str, value: str
) -> None:
    assert f"\n  {name} must be a whole number from 1 to " in refusal(bridge, **{name: value})


def test_gunicorn_refuses_a_file_that_is_no_database(bridge: BridgeProcess) -> None:
    (bridge.folder / "bridge.db").write_bytes(b"no database" * 100)
    assert "DATABASE_URL: cannot use the file. DatabaseError" in refusal(bridge)


def test_gunicorn_refuses_an_older_schema_until_it_is_upgraded(
    postgres_url: str, segment: FakeSegment, tmp_path: Path
) -> None:
    with BridgeProcess(make_url(postgres_url), segment.url, tmp_path) as bridge:
        assert "Run: flask db upgrade" in refusal(bridge)
        assert bridge.flask("db", "upgrade").returncode == 0
        bridge.start_web()
        assert bridge.post(OPENED).json()["status"] == "accepted"
        assert len(segment.wait_for(1)) == 1


def test_a_postgresql_out_of_reach_at_start_gives_429(tmp_path: Path, segment: FakeSegment) -> None:
    nowhere = URL.create("postgresql", "bridge", host="127.0.0.1", port=9, database="bridge")
    with BridgeProcess(nowhere, segment.url, tmp_path) as bridge:
        bridge.start_web()
        answer = bridge.post(OPENED)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
