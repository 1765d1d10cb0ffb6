"""An HTTP server on loopback that answers as it is told, broken if need be."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.drip_requests import Reply

Receive = Callable[[str, Mapping[str, str], bytes], AbstractContextManager[Reply]]
"""Takes a request's method and path, headers and body, and says how to answer it. It is left once
that is done."""


class DripServer(ThreadingHTTPServer):
    """A thread for each connection."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, receive: Receive, port: int) -> None:
        self.receive = receive
        self.connections = 0
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, *_: Any) -> None:
        """A client that went away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for the client's acknowledgement
    server: DripServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        with self.server.receive(f"{self.command} {self.path}", headers, body) as reply:
            time.sleep(reply.hang)
            self._answer(reply)

    do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815 - the server finds them by these names

    def _answer(self, reply: Reply) -> None:
        if reply.cut or reply.raw is not None:
            self.close_connection = True
            self._write(reply.raw or b"", reply.seconds_a_byte)
            return
        self.send_response(reply.status or 200)
        for name, value in reply.headers.items():
            if value is not None:
                self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self._write(reply.body, reply.seconds_a_byte)

    def _write(self, content: bytes, seconds_a_byte: float) -> None:
        step = 1 if seconds_a_byte else len(content) or 1
        try:
            for start in range(0, len(content), step):
                self.wfile.write(content[start : start + step])
                time.sleep(seconds_a_byte)
        except OSError:  # a client that waits no longer is what a test is about
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Tests read what arrived, not a log of it."""
