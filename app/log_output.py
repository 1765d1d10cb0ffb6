"""Write to stderr without blocking: lines that do not fit are dropped and counted.

A pipe, socket or terminal that nobody reads fills up. A blocking write to it would then wait for
ever, and with it the webhook that is being logged.
"""

import io
import os
import stat
import sys

# gevent replaces `socket` by its own, which sets O_NONBLOCK for every process with this descriptor
from _socket import MSG_DONTWAIT, socket
from collections.abc import Callable
from contextlib import suppress
from threading import RLock
from typing import Any, TextIO

PIPE_BYTES = 1 << 20
"""The largest pipe that Linux allows without privileges. The default of 65,536 bytes is filled by
0.2 s of a busy bridge's log."""

Send = Callable[[bytes], int]
"""Writes bytes, and returns how many were taken. Raises `BlockingIOError` if none were."""


class Output(io.RawIOBase):
    """A stream whose writes return at once. What does not fit is dropped, and its lines counted."""

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        """Start empty, also in a forked child: the lock and the unwritten rest are the parent's."""
        self._lock = RLock()
        self._rest = b""
        """The rest of a partly written line. It is written first, so that no line is torn."""
        self.lost_lines = 0

    def writable(self) -> bool:
        """Return True: this stream is only written to."""
        return True

    def fileno(self) -> int:
        """Return stderr's own descriptor. Writing to it directly may block."""
        return 2

    def isatty(self) -> bool:
        """Return whether stderr is a terminal."""
        return os.isatty(2)

    def write(self, data: Any) -> int:
        """Write data that was printed, not logged."""
        self.put(bytes(data))
        return len(data)

    def put(self, line: bytes) -> None:
        """Write a line now, or drop it."""
        with self._lock:
            if not self._send_all(line):
                self.lost_lines += line.count(b"\n")

    def report_lost(self, line: bytes) -> None:
        """Write a line that reports `lost_lines`. If that works, start counting from 0 again."""
        with self._lock:
            if self._send_all(line):
                self.lost_lines = 0

    def _send_all(self, data: bytes) -> bool:
        try:
            while self._rest:
                self._rest = self._rest[self._send(self._rest) :]
            sent = self._send(data)
        except OSError:  # full, or the reader is gone
            return False
        self._rest = data[sent:]
        return True


def unblock_stderr() -> TextIO:
    """Make `sys.stderr` non-blocking if it is a pipe, socket or terminal, and return it.

    A file never blocks for long. A pipe that this user may not open again stays as it is.
    """
    old = sys.stderr
    if output_of(old) is None and (send := _sender(old)):
        sys.stderr = io.TextIOWrapper(
            Output(send),
            encoding=old.encoding,
            errors="backslashreplace",
            line_buffering=True,
        )
    return sys.stderr


def output_of(stream: TextIO) -> Output | None:
    """Return the `Output` behind a stream, or None if it has none."""
    output = getattr(stream, "buffer", None)
    return output if isinstance(output, Output) else None


def _sender(stream: TextIO) -> Send | None:
    with suppress(OSError, ValueError, AttributeError):  # closed, in memory, or None
        if stream.fileno() == 2:
            kind = os.fstat(2).st_mode
            if stat.S_ISSOCK(kind):
                return _socket_sender()
            if stat.S_ISFIFO(kind) or os.isatty(2):
                return _file_sender()
    return None


def _socket_sender() -> Send:
    own = socket(fileno=os.dup(2))
    return lambda data: own.send(data, MSG_DONTWAIT)


def _file_sender() -> Send:
    """Open stderr again: O_NONBLOCK on the inherited descriptor would apply to the parent too."""
    own = os.open("/proc/self/fd/2", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with suppress(ImportError, AttributeError, OSError):
        from fcntl import F_GETPIPE_SZ, F_SETPIPE_SZ, fcntl

        if fcntl(own, F_GETPIPE_SZ) < PIPE_BYTES:
            fcntl(own, F_SETPIPE_SZ, PIPE_BYTES)
    return lambda data: os.write(own, data)
