"""A client that says what it likes, when it likes: no HTTP library would."""

import socket
import time
from contextlib import closing
from typing import NamedTuple


class Answer(NamedTuple):
    """One answer; a "100 Continue" is one of its own."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire(closing["Wire"]):
    """One connection."""

    def __init__(self, port: int, timeout: float = 10.0) -> None:
        super().__init__(self)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self, *, to: str = "POST") -> Answer:
        """The next one. Raises `ConnectionError` where the connection ends instead."""
        line = self._read.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("ended without an answer")
        headers = dict(iter(self._header, ("", "")))
        length = 0 if to == "HEAD" else int(headers.get("content-length", 0))
        return Answer(int(line.split()[1]), headers, self._read.read(length))

    def ends_within(self, seconds: float) -> bool:
        """Whether the other side closes the connection in time."""
        deadline = time.monotonic() + seconds
        try:
            while (left := deadline - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.socket.recv(65536):
                    return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True
        return False

    def close(self) -> None:
        self._read.close()
        self.socket.close()

    def _header(self) -> tuple[str, str]:
        name, _, value = self._read.readline().decode("latin-1").partition(":")
        return name.strip().lower(), value.strip()
