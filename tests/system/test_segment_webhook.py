"""Segment's webhook under a real gunicorn: large batches come whole and hold nobody up."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.support.bridge_process import ROOT
from tests.support.ports import free_port
from tests.support.segment_webhooks import PATH, SECRET, batch, call, sign
from tests.support.waiting import wait_until
from tests.support.wire import Wire

MIB = 1 << 20

CONFIGURATION = """
from gevent import monkey
monkey.patch_select()
from app.logs import log_config
logconfig_dict = log_config("info", "logfmt")
wsgi_app = "webhook:app"
worker_class = "webhook.WebhookWorker"
worker_connections = 60
keepalive = 5
sendfile = False
control_socket_disable = True
"""

WEBHOOK = f"""
from gunicorn.workers.ggevent import GeventWorker
from sqlalchemy.engine import make_url
from app.database.engine import open_database
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Store
from app.server.pages import Pages
from app.server.worker import GREENLETS, Worker
from tests.support.segment_webhooks import webhook_over

outbox = GroupCommit(Store(open_database(make_url("sqlite:///bridge.db")), "drip"))
app = webhook_over(outbox, ({SECRET!r},))

@app.get("/healthz")
def healthz():
    return "ok"

class WebhookWorker(Worker):
    def load_wsgi(self):
        GeventWorker.load_wsgi(self)
        outbox.use(GREENLETS)
        self.wsgi = Pages(self.wsgi)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("webhook")
    (folder / "webhook.py").write_text(WEBHOOK)
    (folder / "gunicorn.conf.py").write_text(CONFIGURATION)
    port = free_port()
    log = folder / "gunicorn.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stderr=file,
            start_new_session=True,
        )
    wait_until(lambda: process.poll() is not None or b"Booting worker" in log.read_bytes())
    assert process.poll() is None, log.read_text()
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def large(name: str, size: int) -> bytes:
    """A batch of so many bytes, all of it in two events."""
    bare = batch([call(name), call(f"{name} too", filling="")])
    return batch([call(name), call(f"{name} too", filling="x" * (size - len(bare)))])


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_8_mib_are_taken(base: str, method: str, chunked: bool) -> None:
    body = large(f"{method} {chunked}", 8 * MIB)
    assert len(body) == 8 * MIB
    headers = {"X-Signature": sign(call(f"{method} {chunked}"))}
    sent = iter([body]) if chunked else body
    answer = requests.request(method, f"{base}{PATH}/4417", data=sent, headers=headers, timeout=20)
    assert answer.status_code == 200
    assert answer.json()["accepted"] + answer.json()["quarantined"] == 2


@pytest.mark.parametrize(
    ("field", "before"),
    [(b"Content-Length: %d", b""), (b"Transfer-Encoding: chunked", b"%x\r\n")],
    ids=["with a length", "chunked"],
)
def test_9_mib_are_refused_and_a_sender_that_goes_on_is_told(
    base: str, field: bytes, before: bytes
) -> None:
    size = 9 * MIB
    fields = [f"PUT {PATH}?token={SECRET} HTTP/1.1".encode(), b"Host: a", field, b"", before]
    head = b"\r\n".join(fields)
    with Wire(int(base.rpartition(":")[2])) as wire:
        wire.send(head % size)
        for _ in range(9):
            wire.send(bytes(MIB))
        assert wire.answer().status == 413


def test_a_batch_of_4000_events_holds_nobody_up(base: str) -> None:
    body = batch(call(f"m{n}", filling="x" * 800) for n in range(4_000))
    waits: list[float] = []
    is_answered = threading.Event()

    def look() -> None:
        with requests.Session() as session:
            while not is_answered.is_set():
                began = time.monotonic()
                assert session.get(f"{base}/healthz", timeout=20).status_code == 200
                waits.append(time.monotonic() - began)

    watcher = threading.Thread(target=look)
    watcher.start()
    began = time.monotonic()
    answer = requests.post(f"{base}{PATH}?token={SECRET}", data=body, timeout=20)
    took = time.monotonic() - began
    is_answered.set()
    watcher.join()

    assert answer.json()["accepted"] == 4_000
    assert took < 10  # after which Segment gives up
    assert len(waits) > 50  # answers while the batch was taken
