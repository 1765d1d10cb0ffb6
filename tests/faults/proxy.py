"""A TCP proxy on loopback that refuses, and cuts, when told to."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

Address = str | tuple[str, int]
"""Of a Unix socket, or host and port."""

Cut = Literal["before", "after"] | None


class Proxy:
    """Passes bytes on between whoever connects and `target`."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self.cut_at: Callable[[bytes], Cut] = lambda _: None
        """Given what is sent towards the target: cut the connection, before or right after it is
        passed on?"""
        self.is_silent = False
        """Whether no answer gets back, though the target gets what is sent."""
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.accept()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    def accept(self) -> None:
        """Take connections, at the same port as before."""
        self._listener = listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse connections, and cut those that are open."""
        if self._listener is not None:
            _end(self._listener)
            self._listener = None
        with self._lock:
            for connection in self._open:
                _end(connection)
            self._open.clear()

    def _serve(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                self._connect(near)

    def _connect(self, near: socket.socket) -> None:
        unix = isinstance(self._target, str)
        far = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        try:
            far.connect(self._target)
        except OSError:
            _end(near)
            return
        with self._lock:
            self._open |= {near, far}
        for one, other, watched in ((near, far, True), (far, near, False)):
            threading.Thread(target=self._pass, args=(one, other, watched), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, watched: bool) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                cut = self.cut_at(data) if watched else None
                if cut == "after":
                    _end(one)  # first: no answer gets back
                if cut != "before" and (watched or not self.is_silent):
                    other.sendall(data)
                if cut:
                    break
        with self._lock:
            self._open -= {one, other}
        _end(one)
        _end(other)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
