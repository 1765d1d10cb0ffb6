"""The worker under a real gunicorn: it waits for whole requests, and for nobody on its way."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests.support.bridge_process import ROOT
from tests.support.ports import free_port
from tests.support.waiting import wait_until
from tests.support.wire import Wire

LARGE_ANSWER = 32 << 20
"""More than the two kernels keep for a client that does not read."""

CONFIGURATION = """
from gevent import monkey
monkey.patch_select()
from app.logs import log_config
from app.server import connection
from app.server import worker
logconfig_dict = log_config("info", "logfmt")
connection.FIRST_REQUEST = connection.WHOLE_REQUEST = connection.WHOLE_ANSWER = 1
connection.LINGER = worker.FINISH_REQUEST = 1
wsgi_app = "echo:app"
worker_class = "echo.EchoWorker"
worker_connections = 60
keepalive = 5
sendfile = False
graceful_timeout = 20
control_socket_disable = True
"""

ECHO = f"""
import time
import gevent
from gunicorn.workers.ggevent import GeventWorker
from app.server.pages import Pages
from app.server.worker import Worker

class EchoWorker(Worker):
    def load_wsgi(self):
        GeventWorker.load_wsgi(self)
        self.wsgi = Pages(self.wsgi)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = environ["wsgi.input"].read(1 << 20)
    if path == "/webhooks/large":
        body = bytes({LARGE_ANSWER})
    if path == "/webhooks/wait":
        gevent.sleep(0.5)
    if path == "/page":
        time.sleep(0.5)
        body = b"made"
    if path == "/long-page":
        start_response("200 OK", [])
        return long_page()
    if path.endswith("/fault"):
        raise RuntimeError("canary")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return broken_off() if path == "/webhooks/broken-off" else [body]

def broken_off():
    yield b"a piece"
    raise RuntimeError("canary")

def long_page():
    for _ in range(1000):
        time.sleep(0.001)
        yield bytes(10_000)
"""

HEAD = b"POST /webhooks/echo?token=canary HTTP/1.1\r\nHost: example.com\r\n"


def request(body: bytes, fields: bytes = b"") -> bytes:
    return HEAD + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def get(path: bytes) -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: example.com\r\n\r\n" % path


@dataclass
class Server:
    """gunicorn with the worker over an app that answers what it was sent."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    opened: ExitStack

    def wire(self) -> Wire:
        return Wire(self.port)

    def wires(self, count: int) -> list[Wire]:
        """Closed at the end of the test."""
        return [self.opened.enter_context(self.wire()) for _ in range(count)]

    def answers_at_once(self) -> bool:
        start = time.monotonic()
        with self.wire() as wire:
            wire.send(request(b"{}"))
            return wire.answer().body == b"{}" and time.monotonic() - start < 0.9


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo.py").write_text(ECHO)
    (folder / "gunicorn.conf.py").write_text(CONFIGURATION)
    return folder


def start(folder: Path) -> Iterator[Server]:
    port = free_port()
    log = folder / f"{port}.log"
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
    with ExitStack() as opened:
        yield Server(process, port, log, opened)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module")
def shared_server(folder: Path) -> Iterator[Server]:
    yield from start(folder)


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    with shared_server.opened:
        yield shared_server


@pytest.fixture
def own_server(folder: Path) -> Iterator[Server]:
    """One that the test may stop."""
    yield from start(folder)


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    with server.wire() as wire:
        for body in (b"one", b"", b"three"):
            wire.send(request(body))
            assert wire.answer().body == body


def test_an_answer_leaves_in_one_piece(server: Server) -> None:
    with server.wire() as wire:
        for _ in range(50):
            wire.send(request(b"whole"))
            assert wire.socket.recv(65536).endswith(b"\r\n\r\nwhole")


def test_an_answer_that_breaks_off_ends_the_connection(server: Server) -> None:
    with server.wire() as wire:
        wire.send(get(b"/webhooks/broken-off"))
        assert wire.ends_within(3)
    assert "canary" not in server.log.read_text()
    assert server.answers_at_once()


def test_two_requests_in_one_packet_are_both_answered(server: Server) -> None:
    with server.wire() as wire:
        wire.send(request(b"one") + request(b"two"))
        assert [wire.answer().body, wire.answer().body] == [b"one", b"two"]


def test_many_requests_in_one_packet_are_all_answered(server: Server) -> None:
    with server.wire() as wire:
        for number in range(1000):
            wire.send(request(b"%d" % number))
        assert [int(wire.answer().body) for _ in range(1000)] == list(range(1000))


def test_a_cut_request_behind_another_is_gathered_too(server: Server) -> None:
    second = request(b"two")
    with server.wire() as wire:
        wire.send(request(b"one") + second[:-2])
        assert wire.answer().body == b"one"
        wire.send(second[-2:])
        assert wire.answer().body == b"two"


@pytest.mark.parametrize("before", [b"", request(b"one")], ids=["first", "behind another"])
def test_a_sender_that_expects_a_100_gets_it(server: Server, before: bytes) -> None:
    with server.wire() as wire:
        wire.send(before + HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        if before:
            assert wire.answer().body == b"one"
        assert wire.answer().status == 100
        wire.send(b"two")
        while (answer := wire.answer()).status == 100:
            pass  # gunicorn says so once more
        assert answer.body == b"two"


UNFINISHED = [
    b"",
    b"P",
    HEAD,
    HEAD + b"Content-Length: 100\r\n\r\nabc",
    HEAD + b"Content-Length: 00000000000000000000100\r\n\r\nabc",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n00000000000000000000004\r\n\r\n\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n",
]


def test_unfinished_requests_hold_nobody_up(server: Server) -> None:
    wires = server.wires(4 * len(UNFINISHED))
    for wire, sent in zip(wires, UNFINISHED * 4, strict=True):
        wire.send(sent)
    assert server.answers_at_once()
    assert not any(wire.ends_within(0.001) for wire in wires)
    assert all(wire.ends_within(2.5) for wire in wires)
    assert server.log.read_text().count("Booting worker") == 1


def test_a_byte_now_and_then_does_not_lengthen_the_time(server: Server) -> None:
    with server.wire() as wire:
        started = time.monotonic()
        while not wire.ends_within(0.1):
            assert time.monotonic() < started + 2.5
            wire.send(b"P")


def test_a_client_that_never_closes_holds_nobody_up(server: Server) -> None:
    wires = server.wires(8)
    for wire in wires:
        wire.send(request(b"one", b"Connection: close\r\n"))
        assert wire.answer().body == b"one"
    assert server.answers_at_once()
    assert all(wire.ends_within(1) for wire in wires)
    for wire in wires:
        wire.send(b"more")  # nobody listens, and nobody minds


def test_who_does_not_read_the_answer_keeps_no_thread(server: Server) -> None:
    wires = server.wires(2)
    for wire in wires:
        wire.send(get(b"/webhooks/large"))
    with server.wire() as wire:
        wire.send(request(b"one"))
        assert wire.answer().body == b"one"


def test_a_large_request_is_the_last_of_its_connection(server: Server) -> None:
    with server.wire() as wire:
        wire.send(request(bytes(100_000)) + request(b"two"))
        answer = wire.answer()
        assert (answer.headers["connection"], len(answer.body)) == ("close", 100_000)
        assert wire.ends_within(3)


def test_a_sender_that_goes_on_after_its_answer_is_cut_off(server: Server) -> None:
    with server.wire() as wire:
        wire.send(b"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 900000000\r\n\r\n")
        assert wire.answer().status == 413
        with pytest.raises(ConnectionError):
            wire.send(bytes(100 << 20))


def test_a_sender_gets_its_answer_although_it_reads_it_late(server: Server) -> None:
    with server.wire() as wire:
        wire.send(b"POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n")
        for _ in range(5):
            wire.send(bytes(100_000))
            time.sleep(0.05)
        assert wire.answer().status == 413


@pytest.mark.parametrize(
    ("fields", "status"), [(b"Content-Length: 65537", 413), (b"Transfer-Encoding: chunked", 411)]
)
def test_only_the_webhook_takes_large_bodies(server: Server, fields: bytes, status: int) -> None:
    with server.wire() as wire:
        wire.send(b"POST /page HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n")
        assert wire.answer().status == status


def test_too_many_connections_end_those_that_wait_longest(
    server: Server,
) -> None:
    for wire in server.wires(80):
        wire.send(HEAD)
    with server.wire() as wire:
        started = time.monotonic()
        wire.send(request(b"one"))
        assert wire.answer().body == b"one"
        assert time.monotonic() - started < 0.9  # their own time is up after 1 s


def test_pages_hold_up_no_webhook(server: Server) -> None:
    wires = server.wires(4)
    for wire in wires:
        wire.send(get(b"/page"))
    time.sleep(0.1)  # in which they arrive
    assert server.answers_at_once()
    assert [wire.answer().body for wire in wires] == [b"made"] * 4


def test_a_long_page_comes_in_pieces_and_whole(server: Server) -> None:
    page = requests.get(f"http://127.0.0.1:{server.port}/long-page", timeout=20)
    assert page.headers["transfer-encoding"] == "chunked"
    assert len(page.content) == 10_000_000


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /?token=canary HTTP/9.9\r\n\r\n",
        b"GET /?token=canary\x01 HTTP/1.1\r\n\r\n",
        b"canary /?token=canary HTTP/1.1\r\n\r\n",
        b"GET /?token=canary" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n",
        HEAD + b"X: " + b"canary" * 9000 + b"\r\n\r\n",
        HEAD + b"canary canary: 1\r\n\r\n",
        HEAD + b"Transfer-Encoding: canary\r\n\r\n0\r\n\r\n",
        HEAD + b"Expect: canary\r\nContent-Length: 0\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_a_malformed_request_is_refused_without_a_quote(server: Server, sent: bytes) -> None:
    with server.wire() as wire:
        wire.send(sent)
        answer = wire.answer()
    assert answer.status == 400
    assert b"canary" not in answer.body
    assert "canary" not in server.log.read_text()


def test_a_stopping_worker_waits_for_no_unfinished_request(own_server: Server) -> None:
    with own_server.wire() as unfinished, own_server.wire() as kept:
        unfinished.send(HEAD)
        kept.send(request(b"one"))
        assert kept.answer().body == b"one"
        own_server.process.send_signal(signal.SIGTERM)
        assert own_server.process.wait(timeout=6) == 0


def test_a_stopping_worker_answers_what_becomes_whole(own_server: Server) -> None:
    with own_server.wire() as wire:
        wire.send(request(b"one")[:-1])
        time.sleep(0.1)  # in which all that was sent arrives
        own_server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: b"Handling signal: term" in own_server.log.read_bytes())
        time.sleep(0.2)  # and the worker, too, has been told
        wire.send(b"e")
        assert wire.answer().body == b"one"


WAITING = get(b"/webhooks/wait")
"""For half a second."""


def test_many_wait_at_once_and_nobody_waits_for_them(server: Server) -> None:
    started = time.monotonic()
    wires = server.wires(40)
    for wire in wires:
        wire.send(WAITING)
    assert server.answers_at_once()
    assert all(wire.answer().status == 200 for wire in wires)
    assert 0.5 <= time.monotonic() - started < 4


def test_a_client_that_leaves_early_harms_nobody(server: Server) -> None:
    with server.wire() as wire:
        wire.send(WAITING)
    time.sleep(0.6)  # in which it would have been answered
    assert server.answers_at_once()
    assert server.log.read_text().count("Booting worker") == 1


@pytest.mark.parametrize(
    "fields", [b"Content-Length: +9\r\n", b"Content-Length: 1_0\r\n", b"Content-Length: 9,9\r\n"]
)
def test_a_request_that_only_seems_whole_is_not_waited_for(server: Server, fields: bytes) -> None:
    with server.wire() as wire, server.wire() as other:
        wire.send(HEAD + fields + b"\r\n")
        other.send(request(b"one"))
        assert other.answer().body == b"one"
        assert wire.ends_within(3)


def test_who_reads_no_answers_is_cut_off_and_holds_nobody_up(server: Server) -> None:
    with server.wire() as wire:
        wire.send(get(b"/webhooks/large"))
        assert server.answers_at_once()
        time.sleep(2)  # in which it reads nothing
        assert wire.ends_within(5)  # by then the client reads, and gets what was underway


@pytest.mark.parametrize("path", [b"/webhooks/fault", b"/fault"])
def test_a_fault_of_the_app_is_logged_by_its_kind_alone(server: Server, path: bytes) -> None:
    with server.wire() as wire:
        wire.send(get(path))
        assert wire.answer().status == 429
    assert "RuntimeError" in server.log.read_text()
    assert "canary" not in server.log.read_text()


def test_a_stopping_worker_answers_who_waits(own_server: Server) -> None:
    with own_server.wire() as wire:
        wire.send(WAITING)
        time.sleep(0.1)  # in which the request arrives
        own_server.process.send_signal(signal.SIGTERM)
        assert wire.answer().status == 200
    assert own_server.process.wait(timeout=6) == 0
