"""gunicorn's gevent worker, with an end to each wait and an answer for each caller.

Of gunicorn it uses the methods that its workers are made to override (`patch`, `load_wsgi`, `run`,
`handle`, `handle_request`, `handle_error`, `handle_exit`, `timeout_ctx`) and what these are given;
of gevent `StreamServer` and `Pool`.
"""

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

from app.bridge import bridge_of
from app.concurrency import Concurrency
from app.logs import where
from app.server.beside import Beside
from app.server.connection import PIECE, Connection
from app.server.pages import App, Pages

TICK = 0.25
"""Seconds between looks at all connections."""

LAST_CALL = 0.5
"""A worker told to stop goes on taking callers for so many seconds: by then gunicorn's master, told
at the same time, lets nobody in either."""

STOPPING = 2.0
"""Seconds that those have who are not done with their request by then."""


def _call_apart(call: Callable[[], Any]) -> Any:
    return gevent.get_hub().threadpool.apply(call)


GREENLETS = Concurrency(gevent.spawn, Event, gevent.sleep, _call_apart)


class Worker(GeventWorker):  # type: ignore[misc]
    """Serves each connection by a greenlet."""

    wsgi: App
    """Set by gunicorn's base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pool = Pool(self.worker_connections)
        self._connections: set[Connection] = set()
        self._beside: Beside | None = None

    def patch(self) -> None:
        """Nothing: gunicorn.conf.py did what is needed. gunicorn's own patches all of Python."""

    def load_wsgi(self) -> None:
        """Load the app, and start what runs beside it: both after the fork."""
        super().load_wsgi()
        app: Any = self.wsgi
        bridge = bridge_of(app)
        bridge.outbox.use(GREENLETS)
        self._beside = Beside(bridge, self.app.app_uri)
        self._beside.start()
        self.wsgi = Pages(app)

    def run(self) -> None:
        """Serve until told to stop."""
        servers = [self._serve(listener) for listener in self.sockets]
        while self.alive:
            self._tick()
        told = time.monotonic()
        while time.monotonic() < told + LAST_CALL:
            self._tick()
        for server in servers:
            self._take_last_callers(server)
        while self._pool and time.monotonic() < told + self.cfg.graceful_timeout:
            is_late = time.monotonic() > told + STOPPING
            for connection in self._waited_for():
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
    def _take_last_callers(server: StreamServer) -> None:
        """Whom the system let in gets an answer: closed on them, they would get a reset."""
        while not server.full() and (caller := server.do_read()):
            server.do_handle(*caller)
        server.close()

    def _tick(self) -> None:
        """Tell the master that we are alive, and drop clients whose time is up; if there is no room
        for more, also those whose time will be up soonest."""
        self.notify()
        waited_for = self._waited_for()
        most = len(waited_for) // 4 if self._pool.full() else 0
        now = time.monotonic()
        for number, connection in enumerate(waited_for):
            if number >= most and connection.until > now:
                break
            connection.drop()
        gevent.sleep(TICK)

    def _waited_for(self) -> list[Connection]:
        """Those whose client it is that has to do something, the most urgent first."""
        waited_for = [each for each in self._connections if each.until < math.inf]
        return sorted(waited_for, key=attrgetter("until"))

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        connection = Connection(client)
        self._connections.add(connection)
        try:
            super().handle(listener, connection, addr)
        finally:
            self._connections.discard(connection)

    def timeout_ctx(self) -> AbstractContextManager[None]:
        """A `Connection` knows itself how long it waits for a request."""
        return nullcontext()

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> bool:
        """Answer one request, and let others have their turn."""
        if _is_large(req):
            req.force_close()  # what is not read of it is not looked through for the next
        super().handle_request(listener_name, req, sock, addr)
        sock.rest(self.cfg.keepalive)
        gevent.sleep(0)
        return True

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

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: sending stops along with serving, not after it."""
        if self._beside:
            self._beside.stop()
        super().handle_exit(sig, frame)

    def join_beside(self) -> None:
        """Have what runs beside this worker end, and wait for it."""
        if self._beside:
            self._beside.stop()
            self._beside.join()


def _is_large(req: Any) -> bool:
    """Whether a request's body is not known to be small."""
    fields = dict(req.headers)
    length = fields.get("CONTENT-LENGTH", "0")
    return "TRANSFER-ENCODING" in fields or not length.isdigit() or int(length) > PIECE
