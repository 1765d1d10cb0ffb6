"""A gthread worker whose threads never wait for a slow sender.

gunicorn's own hands a connection to a thread with its first byte, and the thread then waits,
without limit, for the rest: 16 senders of a byte a second stop the service for everyone. Here the
event loop gathers a request, and a thread gets it when it is whole. A buffering proxy in front
would do the same; a bridge on a laptop or a dyno has none.
"""

import selectors
import time
from collections import deque
from contextlib import suppress
from typing import Any

from gunicorn.http.errors import ParseException
from gunicorn.util import write_error
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.logs import where
from app.request_end import ArrivingRequest

WHOLE_REQUEST_SECONDS = 10.0
"""A request that is not whole by then is dropped: nothing of it was accepted."""

STOPPING_SECONDS = 2.0
"""The same, once the worker is told to stop."""

MOST_BYTES = (1 << 20) + (1 << 16)
"""A request larger than any we take; gunicorn and the app refuse it from here on."""

_PIECE = 65536


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Gathers whole requests on the event loop, in front of gthread's pool of threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gathering: deque[TConn] = deque()

    def enqueue_req(self, conn: TConn) -> None:
        """Every way to a thread leads through here: new, kept-alive and pipelined connections."""
        if self.cfg.is_ssl:  # a handshake would hold up the loop
            super().enqueue_req(conn)
            return
        conn.init()
        conn.sock.setblocking(False)
        conn.arriving = ArrivingRequest()
        if conn.arriving.feed(conn.parser.unreader.take_buffered()) or self._gather(conn):
            self._hand_over(conn)
            return
        conn.timeout = time.monotonic() + WHOLE_REQUEST_SECONDS
        self._gathering.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, lambda _: self._on_more(conn))

    def murder_pending(self) -> None:
        """Called on each turn of the loop: drop the senders whose time is up."""
        super().murder_pending()
        if not self.alive:
            latest = time.monotonic() + STOPPING_SECONDS
            for conn in self._gathering:
                conn.timeout = min(conn.timeout, latest)
        while self._gathering and self._gathering[0].timeout <= time.monotonic():
            conn = self._gathering[0]
            self._forget(conn)
            self.nr_conns -= 1
            conn.close()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answer what gunicorn cannot read or serve; its own log line and answer quote the request,
        whose URL carries the token."""
        if isinstance(exc, ParseException):
            self.log.warning("not a request that can be read: %s", type(exc).__name__)
            status, reason = 400, "Bad Request"
        else:
            self.log.error("fault of the bridge: %s", where(exc))
            status, reason = 429, "Too Many Requests"  # what makes Drip send it again
        with suppress(OSError):
            write_error(client, status, reason, "")

    def _on_more(self, conn: TConn) -> None:
        if self._gather(conn):
            self._forget(conn)
            self._hand_over(conn)

    def _gather(self, conn: TConn) -> bool:
        """Read what has come; whether a thread can go on without waiting."""
        request = conn.arriving
        while len(request.received) < MOST_BYTES:
            try:
                data = conn.sock.recv(_PIECE)
            except BlockingIOError:
                return False
            except OSError:
                return True  # the thread meets it again, and ends the connection
            if not data or request.feed(data):
                return True
            if request.expects_continue:
                self._encourage(conn)
        return True

    def _encourage(self, conn: TConn) -> None:
        """A sender may hold its body back until it is told to go on (RFC 9110 § 10.1.1)."""
        conn.arriving.expects_continue = False
        with suppress(OSError):
            conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: TConn) -> None:
        conn.parser.unreader.unread(bytes(conn.arriving.received))
        super().enqueue_req(conn)

    def _forget(self, conn: TConn) -> None:
        self.poller.unregister(conn.sock)
        self._gathering.remove(conn)
