"""A `requests` session whose whole exchange ends in time, and which follows no redirect.

A timeout of `requests` is per socket operation: one that drips a byte a second never meets it.
Neither `requests` nor urllib3 offers a limit for the whole, so a timer cuts the connection.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Watch:
    """Over one exchange: whether its time is up, and the socket to cut then."""

    def __init__(self) -> None:
        self.over = False
        self._socket: socket.socket | None = None

    def see(self, found: socket.socket | None) -> None:
        self._socket = found
        if self.over:
            self.cut()

    def cut(self) -> None:
        self.over = True
        if self._socket is not None:
            with suppress(OSError):  # it ended by itself
                self._socket.shutdown(socket.SHUT_RDWR)


class _WatchedAdapter(HTTPAdapter):
    """Takes its connections from the given pools, also those to a proxy."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        super().__init__()
        self._pools = pools
        self.poolmanager.pool_classes_by_scheme = pools

    def proxy_manager_for(self, *proxy: Any, **how: Any) -> Any:
        manager = super().proxy_manager_for(*proxy, **how)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


class DeadlineSession(Session):
    """For one thread at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._watch = _Watch()
        self.auth = _as_it_is  # without any, requests takes ~/.netrc's in place of the write key
        adapter = _WatchedAdapter(self._watched_pools())
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> None:  # noqa: ARG002 - requests names it
        """None: a redirected POST becomes a GET, and the page it finds would count as success."""
        return

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection after so many seconds. Raises `TimeoutError` where what had come by
        then looked like a whole answer: headers that end early do.
        """
        self._watch = watch = _Watch()
        timer = threading.Timer(seconds, watch.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            self._watch = _Watch()
        if watch.over:
            raise TimeoutError

    def _watched_pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections show their socket to the timer before they read an answer."""
        session = self

        class Plain(HTTPConnection):
            def getresponse(self) -> Any:
                session._watch.see(self.sock)
                return super().getresponse()

        class Secure(HTTPSConnection):
            def getresponse(self) -> Any:
                session._watch.see(self.sock)
                return super().getresponse()

        def pool(base: type[HTTPConnectionPool], connection: Any) -> type[HTTPConnectionPool]:
            return type(base.__name__, (base,), {"ConnectionCls": connection})

        return {"http": pool(HTTPConnectionPool, Plain), "https": pool(HTTPSConnectionPool, Secure)}
