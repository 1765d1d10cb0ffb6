"""Stderr that never holds up who writes to it.

A pipe, a socket or a terminal that nobody reads fills up, and who writes to it then waits for ever,
with a webhook in hand. Here a line that does not fit is dropped, and counted.
"""

import io
import os
import stat
import sys

# gevent replaces `socket` itself, by one that sets O_NONBLOCK for all who share the descriptor
from _socket import MSG_DONTWAIT, socket
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, TextIO

PIPE_BYTES = 1 << 20
"""What Linux lets anyone have: so far may a reader fall behind before lines are dropped. Pipes have
65,536 bytes by themselves, 0.2 s of a busy bridge's log."""

Send = Callable[[bytes], int]
"""Gives how much was taken, and raises `BlockingIOError` if that is nothing."""


class Output(io.RawIOBase):
    """Takes all that it is given, at once; what did not fit is told by `lost`."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Also in a child: what is left to write, and the lock, are the parent's."""
        self._lock = RLock()
        self._rest = b""
        """Of a line that was taken in part: it goes first, so that no line is torn."""
        self.lost = 0
        """Lines."""

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Stderr's own: only what is written through this one may be dropped."""
        return 2

    def isatty(self) -> bool:
        """As stderr."""
        return os.isatty(2)

    def write(self, data: Any) -> int:
        """For those that print."""
        self.put(bytes(data))
        return len(data)

    def put(self, line: bytes) -> None:
        """Now or not at all."""
        with self._lock:
            if not self._take(line):
                self.lost += line.count(b"\n")

    def tell_lost(self, line: bytes) -> None:
        """The line says how many were lost so far: said, it begins again from none."""
        with self._lock:
            if self._take(line):
                self.lost = 0

    def _take(self, data: bytes) -> bool:
        try:
            while self._rest:
                self._rest = self._rest[self._send(self._rest) :]
            taken = self._send(data)
        except OSError:  # full, or nobody has the other end any more
            return False
        self._rest = data[taken:]
        return True


def unblock_stderr() -> TextIO:
    """`sys.stderr`, and from now on one that never holds anyone up, if it could.

    A file does not; and a pipe that this user may not open again stays as it is.
    """
    old = sys.stderr
    if output_of(old) is None and (send := _to_send(old)):
        sys.stderr = io.TextIOWrapper(
            Output(send),
            encoding=old.encoding,
            errors="backslashreplace",
            line_buffering=True,
        )
    return sys.stderr


def output_of(stream: TextIO) -> Output | None:
    """What is behind a stream that never holds anyone up; None for others."""
    output = getattr(stream, "buffer", None)
    return output if isinstance(output, Output) else None


def _to_send(stream: TextIO) -> Send | None:
    with suppress(OSError, ValueError, AttributeError):  # closed, in memory, or None
        if stream.fileno() == 2:
            kind = os.fstat(2).st_mode
            if stat.S_ISSOCK(kind):
                return _to_send_to_socket()
            if stat.S_ISFIFO(kind) or os.isatty(2):
                return _to_send_to_file()
    return None


def _to_send_to_socket() -> Send:
    own = socket(fileno=os.dup(2))
    return lambda data: own.send(data, MSG_DONTWAIT)


def _to_send_to_file() -> Send:
    """Opened again: O_NONBLOCK on the one that we were given would be the parent's too."""
    own = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with suppress(ImportError, AttributeError, OSError):
        from fcntl import F_GETPIPE_SZ, F_SETPIPE_SZ, fcntl

        if fcntl(own, F_GETPIPE_SZ) < PIPE_BYTES:
            fcntl(own, F_SETPIPE_SZ, PIPE_BYTES)
    return lambda data: os.write(own, data)
