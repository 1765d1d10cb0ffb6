"""The worker under a real gunicorn: it waits for whole requests, and for nobody on its way."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bridge_process import ROOT
from tests.wire import Wire

LARGE_ANSWER = 32 << 20
"""More than the two kernels keep for a client that does not read."""

CONFIGURATION = """
from app import patient_worker as worker
worker.WHOLE_REQUEST_SECONDS = worker.STOPPING_SECONDS = worker.THREAD_SECONDS = 1
worker.MOST_GATHERED = 3 << 20
worker_class = "app.patient_worker.PatientWorker"
wsgi_app = "echo:app"
threads = 2
keepalive = 5
graceful_timeout = 20
control_socket_disable = True

def post_worker_init(worker):
    import os
    from app.request_end import Verdict
    refused = Verdict(b"HTTP/1.1 401 Unauthorized\\r\\nContent-Length: 2\\r\\n\\r\\nno")
    others = Verdict(takes_turns=os.environ["SERVED"] == "in turn")
    worker.head_to_verdict = lambda head: refused if b"refuse" in head else others
"""

ECHO = f"""
import threading
from app.turns import held_lock

def app(environ, start_response):
    body = environ["wsgi.input"].read(1 << 20)
    if environ["PATH_INFO"] == "/large":
        body = bytes({LARGE_ANSWER})
    if environ["PATH_INFO"] == "/wait":
        lock = held_lock()
        threading.Timer(0.5, lock.release).start()
        body = b"told" if lock.acquire(timeout=5) else b"not told"
    if environ["PATH_INFO"] == "/wait-in-vain":
        body = b"told" if held_lock().acquire(timeout=0.1) else b"not told"
    if environ["PATH_INFO"] == "/thread":
        body = threading.current_thread().name.encode()
    if environ["PATH_INFO"] == "/fault":
        raise RuntimeError("canary")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return broken_off() if environ["PATH_INFO"] == "/broken-off" else [body]

def broken_off():
    yield b"a piece"
    raise RuntimeError("canary")
"""

HEAD = b"POST /echo?token=canary HTTP/1.1\r\nHost: example.com\r\n"


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
            return wire.answer().body == b"{}" and time.monotonic() - start < 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("echo")
    (folder / "echo.py").write_text(ECHO)
    (folder / "gunicorn.conf.py").write_text(CONFIGURATION)
    return folder


def start(folder: Path, served: str) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / f"{port}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SERVED": served},
            stderr=file,
            start_new_session=True,
        )
    while b"Booting worker" not in log.read_bytes():
        assert process.poll() is None, log.read_text()
        time.sleep(0.02)
    with ExitStack() as opened:
        yield Server(process, port, log, opened)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture(scope="module", params=["by threads", "in turn"])
def served(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared_server(folder: Path, served: str) -> Iterator[Server]:
    yield from start(folder, served)


@pytest.fixture
def server(shared_server: Server) -> Iterator[Server]:
    with shared_server.opened:
        yield shared_server


@pytest.fixture
def own_server(folder: Path, served: str) -> Iterator[Server]:
    """One that the test may stop."""
    yield from start(folder, served)


@pytest.fixture(scope="module")
def turns(folder: Path) -> Iterator[Server]:
    """All its requests take turns."""
    yield from start(folder, "in turn")


def test_a_connection_serves_one_request_after_another(server: Server) -> None:
    with server.wire() as wire:
        for body in (b"one", b"", b"three"):
            wire.send(request(body))
            assert wire.answer().body == body


def test_an_answer_in_turn_leaves_in_one_piece(turns: Server) -> None:
    with turns.wire() as wire:
        for _ in range(50):
            wire.send(request(b"whole"))
            assert wire.socket.recv(65536).endswith(b"\r\n\r\nwhole")


def test_an_answer_in_turn_that_breaks_off_is_none_at_all_and_asks_for_it_again(
    turns: Server,
) -> None:
    with turns.wire() as wire:
        wire.send(get(b"/broken-off"))
        assert wire.answer().status == 429
    assert "fault of the bridge: BrokenOff" in turns.log.read_text()
    assert turns.answers_at_once()


def test_two_requests_in_one_packet_are_both_answered(server: Server) -> None:
    with server.wire() as wire:
        wire.send(request(b"one") + request(b"two"))
        assert [wire.answer().body, wire.answer().body] == [b"one", b"two"]


def test_many_requests_in_one_packet_are_all_answered(server: Server) -> None:
    with server.wire() as wire:
        for number in range(1000):
            wire.send(request(b"%d" % number))
        assert [int(wire.answer().body) for _ in range(1000)] == list(range(1000))


def test_a_request_cut_in_the_middle_behind_another_is_gathered_too(server: Server) -> None:
    second = request(b"two")
    with server.wire() as wire:
        wire.send(request(b"one") + second[:-2])
        assert wire.answer().body == b"one"
        wire.send(second[-2:])
        assert wire.answer().body == b"two"


@pytest.mark.parametrize("before", [b"", request(b"one")], ids=["first", "behind another"])
def test_a_sender_that_waits_to_be_told_is_told_to_go_on(server: Server, before: bytes) -> None:
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


def test_unfinished_requests_hold_nobody_up_and_are_dropped_in_time(server: Server) -> None:
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


def test_who_does_not_close_a_connection_that_ended_holds_nobody_up(server: Server) -> None:
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
        wire.send(get(b"/large"))
    with server.wire() as wire:
        wire.send(request(b"one"))
        assert wire.answer().body == b"one"


def test_unfinished_requests_together_stay_within_memory_and_the_small_are_spared(
    server: Server,
) -> None:
    small, *large = server.wires(6)
    small.send(request(b"one")[:-1])
    for wire in large:
        wire.send(HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(900_000))
    assert sum(wire.ends_within(0.3) for wire in large) == 2
    small.send(b"e")
    assert small.answer().body == b"one"


def test_a_request_larger_than_any_we_take_is_left_to_the_app(server: Server) -> None:
    with server.wire() as wire:
        wire.send(HEAD + b"Content-Length: 9000000\r\n\r\n" + bytes(1_200_000))
        assert wire.answer().status == 200


REFUSED = HEAD + b"X: refuse\r\n"


@pytest.mark.parametrize("before", [b"", request(b"one")], ids=["first", "behind another"])
@pytest.mark.parametrize(
    "fields", [b"Content-Length: 9\r\n", b"Content-Length: 9\r\nExpect: 100-continue\r\n", b""]
)
def test_a_head_that_is_refused_is_answered_without_its_body_and_nothing_after_it_is_read(
    server: Server, before: bytes, fields: bytes
) -> None:
    with server.wire() as wire:
        wire.send(before + REFUSED + fields + b"\r\n")
        if before:
            assert wire.answer().body == b"one"
        assert wire.answer() == (401, {"content-length": "2"}, b"no")
        wire.send(request(b"two"))
        with pytest.raises(ConnectionError):
            wire.answer()


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
def test_a_malformed_request_is_refused_in_a_word_that_quotes_nothing(
    server: Server, sent: bytes
) -> None:
    with server.wire() as wire:
        wire.send(sent)
        answer = wire.answer()
    assert answer.status == 400
    assert b"canary" not in answer.body
    assert "canary" not in server.log.read_text()


def test_a_worker_told_to_stop_does_not_wait_for_an_unfinished_request(own_server: Server) -> None:
    with own_server.wire() as unfinished, own_server.wire() as kept:
        unfinished.send(HEAD)
        kept.send(request(b"one"))
        assert kept.answer().body == b"one"
        own_server.process.send_signal(signal.SIGTERM)
        assert own_server.process.wait(timeout=6) == 0


def test_a_worker_told_to_stop_still_answers_what_becomes_whole(own_server: Server) -> None:
    with own_server.wire() as wire:
        wire.send(request(b"one")[:-1])
        time.sleep(0.1)
        own_server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        wire.send(b"e")
        assert wire.answer().body == b"one"


WAITING = get(b"/wait")
"""For half a second."""


def test_more_wait_at_once_than_there_are_threads_and_nobody_waits_for_them(turns: Server) -> None:
    started = time.monotonic()
    with turns.opened:
        wires = turns.wires(20)
        for wire in wires:
            wire.send(WAITING)
        assert turns.answers_at_once()
        assert [wire.answer().body for wire in wires] == [b"told"] * 20
    assert 0.5 <= time.monotonic() - started < 2


def test_who_is_not_told_in_time_goes_on(turns: Server) -> None:
    with turns.wire() as wire:
        wire.send(get(b"/wait-in-vain"))
        started = time.monotonic()
        assert wire.answer().body == b"not told"
        assert time.monotonic() - started < 0.5


def test_a_large_request_takes_a_thread(turns: Server) -> None:
    with turns.wire() as wire:
        wire.send(get(b"/thread"))
        assert wire.answer().body == b"MainThread"
        wire.send(request(bytes(70_000)).replace(b"/echo", b"/thread", 1))
        assert wire.answer().body.startswith(b"ThreadPool")


def test_a_client_that_leaves_while_its_request_waits_harms_nobody(turns: Server) -> None:
    with turns.wire() as wire:
        wire.send(WAITING)
    time.sleep(0.6)
    assert turns.answers_at_once()
    assert turns.log.read_text().count("Booting worker") == 1


@pytest.mark.parametrize(
    "fields", [b"Content-Length: +9\r\n", b"Content-Length: 1_0\r\n", b"Content-Length: 9,9\r\n"]
)
def test_a_request_that_only_seems_whole_is_not_waited_for(turns: Server, fields: bytes) -> None:
    with turns.wire() as wire, turns.wire() as other:
        wire.send(HEAD + fields + b"\r\n")
        other.send(request(b"one"))
        assert other.answer().body == b"one"
        assert wire.ends_within(3)


def test_who_reads_no_answers_is_cut_off_and_holds_nobody_up(turns: Server) -> None:
    with turns.wire() as wire:
        wire.send(get(b"/large"))
        assert turns.answers_at_once()
        assert wire.ends_within(5)


def test_a_fault_of_the_app_is_told_by_its_kind_alone(server: Server) -> None:
    with server.wire() as wire:
        wire.send(get(b"/fault"))
        assert wire.answer().status == 429
    assert "RuntimeError" in server.log.read_text()
    assert "canary" not in server.log.read_text()


def test_a_worker_told_to_stop_still_answers_who_waits(own_server: Server) -> None:
    with own_server.wire() as wire:
        wire.send(WAITING)
        time.sleep(0.1)
        own_server.process.send_signal(signal.SIGTERM)
        assert wire.answer().body == b"told"
    assert own_server.process.wait(timeout=6) == 0
