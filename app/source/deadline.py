"""A `requests` session whose whole exchange ends in time, and which follows no redirect.

A timeout of `requests` is per socket operation: one that drips a byte a second never meets it.
Neither `requests` nor urllib3 offers a limit for the whole, so a thread cuts the connection.
"""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LOOK_EVERY = 0.03
"""Seconds by which a deadline may be missed. A timer for each exchange would be exact, and its
thread costs as much as a tenth of the exchange."""


class _Watch:
    """Over one exchange: whether its time is up, and the socket to cut then."""

    def __init__(self, until: float = float("inf")) -> None:
        self.until = until
        """By the monotonic clock."""
        self.over = False
        self._socket: socket.socket | None = None

    def see(self, found: socket.socket | None) -> None:
        self._socket = found
        if self.over:
            self.cut()

    def look(self) -> None:
        if not self.over and time.monotonic() >= self.until:
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
        self._watcher: threading.Thread | None = None
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
        self._ensure_watcher()
        self._watch = watch = _Watch(time.monotonic() + seconds)
        try:
            yield
        finally:
            self._watch = _Watch()
        if watch.over:
            raise TimeoutError

    def _ensure_watcher(self) -> None:
        """With the first exchange: a thread does not survive a fork."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._look, name="deadline", daemon=True)
            self._watcher.start()

    def _look(self) -> None:
        while True:
            time.sleep(LOOK_EVERY)
            self._watch.look()

    def _watched_pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections show their socket to the watcher before they read an answer."""
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
