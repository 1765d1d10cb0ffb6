"""A client's connection with an end to each wait: for a request, for all of it, for its reader.

Nothing here starts a timer. A connection notes until when its client is waited for, and the worker,
which looks at all of them several times a second, drops those whose time is up.
"""

import math
import socket
import time
from contextlib import suppress
from typing import Any

import gevent

FIRST_REQUEST = 10.0
"""Seconds from the connection to the first byte of its first request."""

WHOLE_REQUEST = 10.0
"""Seconds from a request's first byte to its last."""

WHOLE_ANSWER = 60.0
"""Seconds that a client may take to read what is sent at once; a long download is many of those."""

LINGER = 2.0
"""Seconds that a client has to close a connection whose last answer it got."""

PIECE = 1 << 16
"""Bytes read at once. An answer that is smaller leaves in one piece."""

_OF_CHUNKS = 8192
"""Bytes that gunicorn asks for if it does not know how many are left, as of a body in chunks."""

_CHUNKS_AT_ONCE = 2048
"""Bytes: of chunks of one byte, these are some 300, and take some milliseconds."""

_MOST_LINGERING = 1 << 20
"""Bytes thrown away of what comes after the last answer."""


class Connection:
    """Stands for a client's socket, in what gunicorn does with one."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._answer: list[bytes] = []
        self._answer_size = 0
        self.is_resting = True
        """Between two requests, or before the first."""
        self._request_until = time.monotonic() + FIRST_REQUEST
        self.until = self._request_until
        """Until when the client is waited for, by `time.monotonic`; infinite while it waits."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        """What has come of a request; empty if the client, or its time, is at an end."""
        if not self.is_resting:
            gevent.sleep(0)  # a large body that is there already would hold up all others
            if size <= _OF_CHUNKS:
                size = _CHUNKS_AT_ONCE
        self.until = self._request_until
        data: bytes = self._socket.recv(min(size, PIECE))
        self.until = math.inf
        if self.is_resting:
            self.is_resting = False
            self._request_until = time.monotonic() + WHOLE_REQUEST
        return data

    def sendall(self, data: bytes) -> None:
        """Part of an answer, which leaves when it is large or whole: gunicorn sends head and body
        one after the other, which would be two packets."""
        self._answer.append(data)
        self._answer_size += len(data)
        if self._answer_size > PIECE:
            self.flush()

    def flush(self) -> None:
        """Send what there is of the answer. Raises `OSError`, also if the client's time is up."""
        if not self._answer:
            return
        data, self._answer, self._answer_size = b"".join(self._answer), [], 0
        self.until = time.monotonic() + WHOLE_ANSWER
        self._socket.sendall(data)
        self.until = math.inf

    def rest(self, seconds: float) -> None:
        """The answer is whole, and another request may come within so many seconds."""
        self.flush()
        self.is_resting = True
        self._request_until = time.monotonic() + seconds

    def drop(self) -> None:
        """Whoever waits for the client goes on, as if it had closed the connection.

        A request that came this moment on a resting connection is still answered.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD if self.is_resting else socket.SHUT_RDWR)

    def close(self) -> None:
        """Closed with unread bytes, a client could lose its answer (RFC 9112 § 9.6): so what still
        comes is thrown away for a moment."""
        with suppress(OSError):
            self.flush()
            self._socket.shutdown(socket.SHUT_WR)
            self.until = time.monotonic() + LINGER
            thrown_away = 0
            while thrown_away < _MOST_LINGERING and (data := self._socket.recv(PIECE)):
                thrown_away += len(data)
                gevent.sleep(0)  # a client that sends without pause would hold up all others
        self._socket.close()
