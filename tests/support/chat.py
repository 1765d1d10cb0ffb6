"""A real HTTP endpoint that stands in for a chat, and can misbehave."""

import json
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "/services/T0/B0/canary"
"""The path of its webhook."""


class Chat(ThreadingHTTPServer):
    """Takes alerts, or does not."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.refused: str | None = None
        """A word of those that it will not take."""
        self.seconds_a_byte = 0.0
        self.texts: list[str] = []
        self.authorizations: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}{SECRET}"


class _Handler(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == SECRET
        assert body.keys() == {"text"}
        self.server.texts.append(body["text"])
        self.server.authorizations.append(self.headers["Authorization"])
        if self.server.seconds_a_byte:
            with suppress(OSError):
                for byte in b"HTTP/1.1 200 OK\r\nA: " + b"b" * 200:
                    self.wfile.write(bytes([byte]))
                    time.sleep(self.server.seconds_a_byte)
            return
        is_refused = self.server.refused and self.server.refused in body["text"]
        self.send_response(500 if is_refused else self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.texts.append("followed")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not in the tests' output."""
