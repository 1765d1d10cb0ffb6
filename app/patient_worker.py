"""A gthread worker whose threads never wait for a slow sender, nor its event loop for anyone.

gunicorn's own hands a connection to a thread with its first byte, and the thread then waits,
without limit, for the rest: 16 senders of a byte a second stop the service for everyone. Here the
event loop gathers a request, and it is served when it is whole. A buffering proxy in front would
do the same; a bridge on a laptop or a dyno has none.

A webhook is served by the loop itself, which goes on with others while it waits for its commit;
whatever else there is, such as the inspector's pages, by a thread.
"""

import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn.http.errors import NoMoreData, ParseException
from gunicorn.util import write_error
from gunicorn.workers.gthread import TConn, ThreadWorker

from app.gathered_answer import GatheredAnswer
from app.gathered_unreader import GatheredUnreader
from app.logs import where
from app.request_end import ArrivingRequest, Verdict
from app.turns import Turns

WHOLE_REQUEST_SECONDS = 10.0
"""A request that is not whole by then is dropped: nothing of it was accepted."""

STOPPING_SECONDS = 2.0
"""The same, once the worker is told to stop."""

LAST_CALL_SECONDS = 0.5
"""A worker told to stop waits for so long until it takes its last callers and listens no more: by
then gunicorn's master, told at the same time, lets nobody in either."""

LINGER_SECONDS = 2.0
"""A client that was answered and told that the connection ends is given so long to close it."""

MOST_BYTES = (1 << 20) + (1 << 16)
"""A request larger than any we take; gunicorn and the app refuse it from here on."""

MOST_IN_TURN = 1 << 16
"""A larger request takes a thread, whatever it is: to read it takes longer than others like to
wait. Twice what can become a track call."""

LOOK_EVERY = 0.1
"""Seconds between looks for those who have waited long enough for their commit."""

MOST_GATHERED = 64 << 20
"""Bytes of all unfinished requests together; beyond it the largest is dropped."""

THREAD_SECONDS = 5
"""A thread that has to wait for its client, for one to read or for what cannot be foreseen, gives
up after so long without a byte."""

_PIECE = 65536

_KEPT_ALIVE: Future[bool] = Future()
"""How gunicorn is told that a connection goes on."""
_KEPT_ALIVE.set_result(True)


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Gathers whole requests on the event loop, and serves there what takes turns; the rest goes to
    gthread's pool of threads."""

    sockets: list[socket.socket]
    """The listeners, of gunicorn's base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gathering: deque[TConn] = deque()
        self._lingering: deque[TConn] = deque()
        self._turns = Turns(self.method_queue.defer)
        self.head_to_verdict: Callable[[bytes], Verdict] = lambda _: Verdict()

    def enqueue_req(self, conn: TConn) -> None:
        """Every request comes through here, of a new, a kept-alive or a pipelined connection."""
        if self.cfg.is_ssl:  # a handshake would hold up the loop
            super().enqueue_req(conn)
            return
        if not conn.initialized:
            conn.init()
            conn.parser.unreader = GatheredUnreader(conn.sock)
            _limit_waits(conn.sock)
        conn.sock.setblocking(False)
        conn.arriving = ArrivingRequest(self.head_to_verdict)
        if conn.arriving.feed(conn.parser.unreader.take_buffered()) or self._gather(conn):
            self._hand_over(conn)
        else:
            conn.timeout = time.monotonic() + WHOLE_REQUEST_SECONDS
            self._watch(conn, self._gathering, self._on_more)

    def finish_request(self, conn: TConn, fs: Any) -> None:
        """A thread is done with it."""
        if self.cfg.is_ssl:
            super().finish_request(conn, fs)
        else:
            self._finish(conn, not fs.cancelled() and not fs.exception() and fs.result())

    def _finish(self, conn: TConn, is_kept_alive: bool) -> None:
        """gunicorn's own waits on the event loop for each client to close its connection."""
        if not is_kept_alive:
            self._linger(conn)
            return
        unreader = conn.parser.unreader
        next_request = unreader.take_buffered()
        if next_request:
            unreader.unread(next_request)
            self.method_queue.defer(self.enqueue_req, conn)  # others first
        else:
            super().finish_request(conn, _KEPT_ALIVE)

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called with False when the worker is told to stop, or has as many callers as it takes."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            self._take_last_callers()

    def _take_last_callers(self) -> None:
        """Whom the system let in gets an answer: gunicorn's own cuts off all that queue here."""
        last = time.monotonic() + LAST_CALL_SECONDS
        while (left := last - time.monotonic()) > 0:
            self.wait_for_and_dispatch_events(timeout=left)
        for listener in self.sockets:
            taken = -1
            while taken < self.nr_conns:
                taken = self.nr_conns
                self.accept(listener)
            listener.close()
        self.sockets = []

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One turn of the loop; without an event, it takes `timeout` seconds at most."""
        longest = LOOK_EVERY if self._turns.somebody_waits else timeout
        super().wait_for_and_dispatch_events(min(timeout, longest))

    def murder_pending(self) -> None:
        """Called on each turn of the loop: drop those whose time, or our memory, is up."""
        super().murder_pending()
        self._turns.give_up()
        if not self.alive:
            latest = time.monotonic() + STOPPING_SECONDS
            for conn in self._gathering:
                conn.timeout = min(conn.timeout, latest)
        for watched in (self._gathering, self._lingering):
            while watched and watched[0].timeout <= time.monotonic():
                self._drop(watched[0], watched)
        while sum(map(_gathered, self._gathering)) > MOST_GATHERED:
            self._drop(max(self._gathering, key=_gathered), self._gathering)

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
            self._forget(conn, self._gathering)
            self._hand_over(conn)

    def _gather(self, conn: TConn) -> bool:
        """Read what has come, a piece at a time; whether a thread can go on without waiting."""
        request = conn.arriving
        if request.expects_continue:
            self._encourage(conn)
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
        return len(request.received) >= MOST_BYTES

    def _encourage(self, conn: TConn) -> None:
        """A sender may hold its body back until it is told to go on (RFC 9110 § 10.1.1)."""
        conn.arriving.expects_continue = False
        with suppress(OSError):
            conn.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, conn: TConn) -> None:
        request = conn.arriving
        if request.verdict.refusal:
            with suppress(OSError):  # so short that it goes as a whole
                conn.sock.send(request.verdict.refusal)
            self._linger(conn)
            return
        takes_turns = request.verdict.takes_turns and len(request.received) <= MOST_IN_TURN
        conn.parser.unreader.hand_over(request.received)
        if takes_turns:
            self._turns.run(partial(self._answer, conn), partial(self._finish, conn))
        else:
            super().enqueue_req(conn)

    def _answer(self, conn: TConn) -> bool:
        """What gunicorn's `handle` does in a thread, but with a socket that is not waited for:
        whether the connection is kept alive."""
        try:
            request = next(conn.parser)
            if not request:
                return False
            answer = GatheredAnswer(conn)
            is_kept_alive = bool(self.handle_request(request, answer))
            answer.leave()
        except (StopIteration, NoMoreData, OSError):  # ended, not whole after all, or not read
            return False
        except Exception as error:  # noqa: BLE001 - one request's fault is not another's
            self.handle_error(None, conn.sock, conn.client, error)
            return False
        return is_kept_alive

    def _linger(self, conn: TConn) -> None:
        """The answer was the last one of its connection."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
        except OSError:
            self._end(conn)
            return
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._watch(conn, self._lingering, self._on_rest)

    def _on_rest(self, conn: TConn) -> None:
        """What comes after the answer is not read; closed on it, the client could lose the answer
        (RFC 9112 § 9.6)."""
        try:
            more = conn.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if not more:
            self._drop(conn, self._lingering)

    def _watch(self, conn: TConn, watched: deque[TConn], callback: Any) -> None:
        watched.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, lambda _: callback(conn))

    def _forget(self, conn: TConn, watched: deque[TConn]) -> None:
        self.poller.unregister(conn.sock)
        watched.remove(conn)

    def _drop(self, conn: TConn, watched: deque[TConn]) -> None:
        self._forget(conn, watched)
        self._end(conn)

    def _end(self, conn: TConn) -> None:
        self.nr_conns -= 1
        conn.close()


def _gathered(conn: TConn) -> int:
    return len(conn.arriving.received)


def _limit_waits(connection: socket.socket) -> None:
    """In the kernel: gunicorn itself sets sockets to wait without end."""
    limit = struct.pack("ll", THREAD_SECONDS, 0)
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, limit)
