"""Nothing that a person or a secret is in leaves by a log line, an error answer or a process title.

`BridgeProcess` looks for all of it in what every test's processes logged and answered, the faults'
among them; here are the ways out that no other test takes.
"""

import socket

import psutil
import pytest

from tests.support.bridge_process import TOKEN, BridgeProcess, assert_no_secret
from tests.support.fake_segment import FakeSegment, Reply
from tests.support.samples import CLICKED

TARGET = f"/webhooks/drip?token={TOKEN}"


def exchange(bridge: BridgeProcess, request: bytes) -> bytes:
    """What the server says to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", bridge.port), timeout=15) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "head",
    [
        f"POST {TARGET} HTTP/9.9\r\n\r\n",
        f"POST {TARGET} nonsense\r\n\r\n",
        f"POST {TARGET}{'&more=1' * 2000} HTTP/1.1\r\n\r\n",
        f"PO\x00ST {TARGET} HTTP/1.1\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nX-Ana@example.com: \x01\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nana@example.com\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nContent-Length: ana@example.com\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nTransfer-Encoding: ana@example.com\r\n\r\n",
        f"POST {TARGET} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nana@example.com\r\n",
        f"POST {TARGET} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nana@example.com",
        f"POST {TARGET} HTTP/1.1\r\nExpect: ana@example.com\r\n\r\n",
    ],
    ids=lambda head: repr(head[-40:]),
)
def test_a_malformed_request_is_a_400_that_quotes_nothing(
    shared_bridge: BridgeProcess, head: str
) -> None:
    answer = exchange(shared_bridge, head.encode())
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert_no_secret(answer.decode())


def test_gunicorn_keeps_quiet_at_debug_too(bridge: BridgeProcess, segment: FakeSegment) -> None:
    bridge.start_web(GUNICORN_CMD_ARGS="--log-level debug")
    exchange(bridge, f"POST {TARGET} HTTP/1.1\r\nContent-Length: 9\r\n\r\nana@".encode())
    exchange(bridge, f"POST {TARGET} HTTP".encode())
    bridge.post(CLICKED)
    segment.wait_for(1)
    assert_no_secret(bridge.log.read_text())


def test_what_segment_answers_of_an_event_is_not_logged(
    bridge: BridgeProcess, segment: FakeSegment
) -> None:
    segment.behave = lambda batch: Reply(status=400, body=batch.body)
    bridge.start_both()
    bridge.post(CLICKED)
    bridge.wait_for_log("event=dead")
    assert_no_secret(bridge.log.read_text())


def test_process_titles_hold_no_secret(bridge: BridgeProcess) -> None:
    bridge.is_cold = True  # a copy has the title of what it was copied from
    web = psutil.Process(bridge.start_web().pid)
    deliverer = psutil.Process(bridge.start_deliverer().pid)
    for process in (web, *web.children(recursive=True), deliverer):
        assert_no_secret(" ".join([process.name(), *process.cmdline()]))
