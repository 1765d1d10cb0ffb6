"""gunicorn's gevent worker, with time limits for clients and an orderly shutdown.

It overrides the methods that gunicorn's workers are meant to override: `patch`, `load_wsgi`, `run`,
`handle`, `handle_request`, `handle_error`, `handle_exit` and `timeout_ctx`. Of gevent it uses
`StreamServer` and `Pool`.
"""

import gc
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from operator import attrgetter
from typing import Any

import gevent
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn.http.errors import ParseException
from gunicorn.util import write_error
from gunicorn.workers.ggevent import GeventWorker

from app.bridge import Bridge, bridge_of
from app.concurrency import Concurrency
from app.delivery.supervisor import Supervisor
from app.logs import error_location
from app.server.connection import PIECE, Connection
from app.server.pages import App, Pages

TICK = 0.25
"""Seconds between checks of all connections."""

ACCEPT_ON = 0.5
"""Seconds for which a stopping worker still accepts connections. By then gunicorn's master, which
stops at the same time, accepts none either."""

FINISH_REQUEST = 2.0
"""Seconds from the stop that clients have to finish sending their request."""

DELIVERER_TIMEOUT = 15.0
"""Seconds to wait for the deliverer, which settles the batch in hand by then."""


def _call_in_thread(call: Callable[[], Any]) -> Any:
    return gevent.get_hub().threadpool.apply(call)


GREENLETS = Concurrency(gevent.spawn, Event, gevent.sleep, _call_in_thread)


class Background:
    """What a web process runs besides serving: its deliverer and the watch.

    It is made after the fork, because threads do not survive one and the deliverer ends with its
    worker.
    """

    def __init__(self, bridge: Bridge, app: str) -> None:
        """`app` is what gunicorn loads, such as "wsgi:app"."""
        self._bridge = bridge
        self._deliverer = Supervisor(app) if bridge.settings.deliver_in_web else None

    def start(self) -> None:
        """Start both, and return at once."""
        # the objects loaded by now stay, so the garbage collector need not check them again
        gc.freeze()
        gc.set_threshold(10_000)
        self._bridge.start_watch()
        if self._deliverer:
            self._deliverer.start()

    def stop(self) -> None:
        """Make the deliverer settle the batch in hand, and end. Safe in a signal handler."""
        if self._deliverer:
            self._deliverer.stop()

    def join(self) -> None:
        """Wait until the deliverer has ended."""
        if self._deliverer:
            self._deliverer.join(DELIVERER_TIMEOUT)


class Worker(GeventWorker):  # type: ignore[misc]
    """A worker that serves each connection with a greenlet."""

    wsgi: App
    """The app, set by gunicorn's base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pool = Pool(self.worker_connections)
        self._connections: set[Connection] = set()
        self._background: Background | None = None

    def patch(self) -> None:
        """Do nothing: gunicorn.conf.py patches what is needed, not all of the standard library."""

    def load_wsgi(self) -> None:
        """Load the app and start the background work, after the fork."""
        super().load_wsgi()
        app: Any = self.wsgi
        bridge = bridge_of(app)
        for direction in bridge.directions:
            direction.outbox.use(GREENLETS)
        self._background = Background(bridge, self.app.app_uri)
        self._background.start()
        self.wsgi = Pages(app)

    def run(self) -> None:
        """Serve until gunicorn stops this worker, then finish what clients have begun."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self._tick()
        stopped_at = time.monotonic()
        while time.monotonic() < stopped_at + ACCEPT_ON:
            self._tick()
        for server in servers:
            self._accept_last(server)
        while self._pool and time.monotonic() < stopped_at + self.cfg.graceful_timeout:
            is_late = time.monotonic() > stopped_at + FINISH_REQUEST
            for connection in self._waiting():
                if is_late or connection.is_resting:
                    connection.drop()
            self._tick()

    def _serve(self, listener: Any) -> StreamServer:
        listener.sock.setblocking(False)
        server = StreamServer(listener.sock, partial(self.handle, listener), spawn=self._pool)
        if self.cfg.workers > 1:
            server.max_accept = 1
        server.start()
        return server

    @staticmethod
    def _accept_last(server: StreamServer) -> None:
        """Serve the clients that the system has already accepted: they would get a reset."""
        while not server.full() and (client := server.do_read()):
            server.do_handle(*client)
        server.close()

    def _tick(self) -> None:
        """Report to the master that the worker is alive, and drop clients whose time is up.

        If there is no room for more connections, also drop the quarter whose time is up soonest.
        """
        self.notify()
        waiting = self._waiting()
        surplus = len(waiting) // 4 if self._pool.full() else 0
        now = time.monotonic()
        for number, connection in enumerate(waiting):
            if number >= surplus and connection.until > now:
                break
            connection.drop()
        gevent.sleep(TICK)

    def _waiting(self) -> list[Connection]:
        """Return the connections that wait for their client, those with the least time first."""
        waiting = [each for each in self._connections if each.until < math.inf]
        return sorted(waiting, key=attrgetter("until"))

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection until it is closed."""
        connection = Connection(client)
        self._connections.add(connection)
        try:
            super().handle(listener, connection, addr)
        finally:
            self._connections.discard(connection)

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """Set no timeout: a `Connection` limits by itself how long it waits for a request."""
        return nullcontext()

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> bool:
        """Answer one request, then let other greenlets run."""
        if _is_large(req):
            req.force_close()  # or gunicorn would read all of its body to find the next
        super().handle_request(listener_name, req, sock, addr)
        sock.rest(self.cfg.keepalive)
        gevent.sleep(0)
        return True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002
        """Answer a request that gunicorn cannot read or serve.

        gunicorn's own log line and answer would quote the request, whose URL has the token.
        """
        if isinstance(exc, ParseException):
            self.log.warning("not a request that can be read: %s", type(exc).__name__)
            status, reason = 400, "Bad Request"
        else:
            self.log.error("fault of the bridge: %s", error_location(exc))
            status, reason = 429, "Too Many Requests"  # Drip sends an event again after a 429
        with suppress(OSError):
            write_error(client, status, reason, "")

    def handle_exit(self, sig: int, frame: Any) -> None:
        """On SIGTERM, stop the deliverer at the same time as the server, not after it."""
        if self._background:
            self._background.stop()
        super().handle_exit(sig, frame)

    def join_background(self) -> None:
        """Stop the background work, and wait for it."""
        if self._background:
            self._background.stop()
            self._background.join()


def _is_large(req: Any) -> bool:
    """Return whether a request's body may be large, by its headers."""
    headers = dict(req.headers)
    length = headers.get("CONTENT-LENGTH", "0")
    return "TRANSFER-ENCODING" in headers or not length.isdigit() or int(length) > PIECE
