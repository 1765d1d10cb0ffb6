"""A client's connection, with a time limit for each request and each answer.

There are no timers. A connection records until when it waits for its client. The worker checks all
connections several times a second, and drops those whose time is up.
"""

import math
import socket
import time
from contextlib import suppress
from typing import Any

import gevent

FIRST_REQUEST = 10.0
"""Seconds from connecting to the first byte of the first request."""

WHOLE_REQUEST = 10.0
"""Seconds from a request's first byte to its last."""

WHOLE_ANSWER = 60.0
"""Seconds that a client may take to read one piece of an answer. A download has many pieces."""

LINGER = 2.0
"""Seconds that a client has to close the connection after its last answer."""

PIECE = 1 << 16
"""Bytes that are read at once. A smaller answer is sent in one piece."""

_CHUNKED_READ = 8192
"""Bytes that gunicorn asks for if it does not know how many are left, as with a chunked body."""

_CHUNKED_LIMIT = 2048
"""Bytes that it gets instead. With one byte in each chunk, these are some 300 chunks, and take some
milliseconds."""

_LINGER_BYTES = 16 << 20
"""Bytes that are read and ignored after the last answer: twice the largest body, so that who sends
one that is too large gets the answer that says so."""


class Connection:
    """A wrapper of a client's socket, which gunicorn uses like a socket."""

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._answer: list[bytes] = []
        self._answer_size = 0
        self.is_resting = True
        """Whether it is between two requests, or before the first."""
        self._request_until = time.monotonic() + FIRST_REQUEST
        self.until = self._request_until
        """The client's deadline, by `time.monotonic`. Infinite while nothing is expected of it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of a request, or none if the client closed or its time is up."""
        if not self.is_resting:
            gevent.sleep(0)  # let other greenlets run: a large body may be there already
            if size <= _CHUNKED_READ:
                size = _CHUNKED_LIMIT
        self.until = self._request_until
        data: bytes = self._socket.recv(min(size, PIECE))
        self.until = math.inf
        if self.is_resting:
            self.is_resting = False
            self._request_until = time.monotonic() + WHOLE_REQUEST
        return data

    def sendall(self, data: bytes) -> None:
        """Queue part of an answer until it is large or complete.

        gunicorn sends head and body separately, which would be two packets.
        """
        self._answer.append(data)
        self._answer_size += len(data)
        if self._answer_size > PIECE:
            self.flush()

    def flush(self) -> None:
        """Send the queued part of the answer. Raises `OSError`, also if the client's time is up."""
        if not self._answer:
            return
        data, self._answer, self._answer_size = b"".join(self._answer), [], 0
        self.until = time.monotonic() + WHOLE_ANSWER
        self._socket.sendall(data)
        self.until = math.inf

    def rest(self, seconds: float) -> None:
        """End the answer, and wait so many seconds for another request."""
        self.flush()
        self.is_resting = True
        self._request_until = time.monotonic() + seconds

    def drop(self) -> None:
        """Wake whatever waits for the client, as if the client had closed the connection.

        A request that arrives just now on a resting connection is still answered.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD if self.is_resting else socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, after reading what still comes for a moment.

        Closed with unread bytes, the client could lose its answer (RFC 9112 § 9.6).
        """
        with suppress(OSError):
            self.flush()
            self._socket.shutdown(socket.SHUT_WR)
            self.until = time.monotonic() + LINGER
            ignored = 0
            while ignored < _LINGER_BYTES and (data := self._socket.recv(PIECE)):
                ignored += len(data)
                gevent.sleep(0)  # let other greenlets run: the client may send without pause
        self._socket.close()
