"""A real HTTP endpoint that stands in for Segment, and can misbehave."""

import base64
import json
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

from tests.support.loopback import OnLoopback
from tests.support.waiting import wait_until


@dataclass(frozen=True)
class Batch:
    """One request as it arrived."""

    write_key: str
    body: bytes
    calls: list[dict[str, Any]]
    headers: Mapping[str, str]
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Reply:
    """How to answer a batch."""

    status: int = 200
    body: bytes = b'{"success": true}'
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds_a_byte: float = 0.0
    """Drip the body out, or `raw`; a body with a Content-Length, so that a missing part is seen."""
    cut_after: int | None = None
    """Close the connection after so many bytes of the body."""
    reset: bool = False
    """Where the connection is closed, break it off instead, as a process that died does."""
    hang: float = 0.0
    """Seconds before anything is answered."""
    raw: bytes | None = None
    """Sent in place of any HTTP; then the connection is closed."""


OK = Reply()


class FakeSegment(OnLoopback):
    """Answers each batch by `behave`, and keeps what it answered with 2xx in `calls`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.batches: list[Batch] = []
        self.calls: list[dict[str, Any]] = []
        self.visits: list[str] = []
        """Method and path of every request, also of one for a page."""
        self.answered = 0
        """Batches whose answer is written to the last byte."""
        self.behave: Callable[[Batch], Reply] = lambda _: OK
        self._lock = threading.Lock()
        outer = self

        class Handler(_Handler):
            segment = outer

        super().__init__(_Server(("127.0.0.1", 0), Handler))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self.url = self.url.replace("http:", "https:")

    def message_ids(self) -> list[str]:
        """Of every call that was taken, in order of arrival."""
        with self._lock:
            return [call["messageId"] for call in self.calls]

    def wait_for(self, count: int, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The calls taken, once there are so many; fails where they do not come in time."""
        wait_until(
            lambda: len(self.calls) >= count, seconds, lambda: f"{len(self.calls)} of {count} calls"
        )
        with self._lock:
            return list(self.calls)

    def receive(self, batch: Batch) -> Reply:
        """Record a batch and say how to answer it."""
        with self._lock:
            self.batches.append(batch)
        reply = self.behave(batch)
        if reply.raw is None and reply.cut_after is None and 200 <= reply.status < 300:
            with self._lock:
                self.calls.extend(batch.calls)
        return reply


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's acknowledgement
    segment: ClassVar[FakeSegment]

    def do_POST(self) -> None:
        self._record_visit()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        secret = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        calls = json.loads(body)["batch"]
        batch = Batch(secret.partition(":")[0], body, calls, dict(self.headers.items()))
        self._answer(self.segment.receive(batch))
        self.segment.answered += 1

    def do_GET(self) -> None:
        """Where a followed redirect would end: a page that says 200."""
        self._record_visit()
        self._answer(Reply(body=b"<html>Welcome</html>"))

    def _record_visit(self) -> None:
        self.segment.visits.append(f"{self.command} {self.path}")

    def _answer(self, reply: Reply) -> None:
        time.sleep(reply.hang)
        if reply.raw is not None:
            self._write(reply.raw, reply.seconds_a_byte)
            self._close(reply)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        if reply.cut_after is not None:
            self._write(reply.body[: reply.cut_after], reply.seconds_a_byte)
            self._close(reply)
        else:
            self._write(reply.body, reply.seconds_a_byte)

    def _write(self, content: bytes, seconds_a_byte: float) -> None:
        if not seconds_a_byte:
            self.wfile.write(content)
            return
        for byte in content:
            self.wfile.write(bytes([byte]))
            time.sleep(seconds_a_byte)

    def _close(self, reply: Reply) -> None:
        self.close_connection = True
        if reply.reset:
            discard = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, discard)
            os.close(self.connection.detach())
        else:
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: Any) -> None:
        """Tests read what arrived, not a log of it."""
