"""A `requests` session whose whole exchange ends in time, and which follows no redirect.

A timeout of `requests` is per socket operation: one that drips a byte a second never meets it.
Neither `requests` nor urllib3 offers a limit for the whole, so a timer cuts the connection.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class DeadlineSession(Session):
    """For one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._socket: socket.socket | None = None
        adapter = HTTPAdapter()
        adapter.poolmanager.pool_classes_by_scheme = self._watched_pools()
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> None:  # noqa: ARG002 - requests names it
        """None: a redirected POST becomes a GET, and the page it finds would count as success."""
        return

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection after so many seconds; who reads from it then sees it end early."""
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._socket = None

    def _cut(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # it ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)

    def _watched_pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections show their socket to the timer before they read an answer."""
        session = self

        class Plain(HTTPConnection):
            def getresponse(self) -> Any:
                session._socket = self.sock
                return super().getresponse()

        class Secure(HTTPSConnection):
            def getresponse(self) -> Any:
                session._socket = self.sock
                return super().getresponse()

        def pool(base: type[HTTPConnectionPool], connection: Any) -> type[HTTPConnectionPool]:
            return type(base.__name__, (base,), {"ConnectionCls": connection})

        return {"http": pool(HTTPConnectionPool, Plain), "https": pool(HTTPSConnectionPool, Secure)}
