"""The `requests` session for whatever the bridge sends: a whole exchange ends in time and in size.

A timeout of `requests` is per socket operation: an answer that comes byte by byte never meets it.
Neither `requests` nor urllib3 offers a limit for the whole, so a thread cuts the connection.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LOOK_EVERY = 0.03
"""Seconds by which a deadline may be missed. A timer for each exchange would be exact, and its
thread costs as much as a tenth of the exchange."""

REST_AFTER = 1.0
"""Seconds without an exchange, after which nothing looks."""

MOST_BYTES = 1_000_000
"""Of an answer's body; what comes after them is not read."""


class _Watch:
    """Over one exchange: whether its time is up, and the connection to cut then."""

    def __init__(self, until: float) -> None:
        self.until = until
        """By the monotonic clock."""
        self.over = False
        self._connection: HTTPConnection | None = None
        self._socket: Any = None

    def see(self, connection: HTTPConnection) -> None:
        """While it is being made, TLS and proxies put one socket in the place of another; while an
        answer comes, the connection may have let go of its socket."""
        self._connection = connection
        self._socket = connection.sock
        if self.over:
            self.cut()

    def look(self) -> None:
        if not self.over and time.monotonic() >= self.until:
            self.cut()

    def cut(self) -> None:
        self.over = True
        found = (self._connection and self._connection.sock) or self._socket
        if found:
            with suppress(OSError):  # it ended by itself
                found.shutdown(socket.SHUT_RDWR)


class _FirstBytes:
    """A body of which no more is read than `MOST_BYTES`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *how: Any, **named: Any) -> Iterator[bytes]:
        """Called by `requests`."""
        left = MOST_BYTES
        for chunk in self._raw.stream(*how, **named):
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                self._raw.close()
                return


class _WatchedAdapter(HTTPAdapter):
    """Takes its connections from the given pools, also those to a proxy."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        super().__init__()
        self._pools = pools
        self.poolmanager.pool_classes_by_scheme = pools

    def proxy_manager_for(self, *proxy: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def build_response(self, *exchange: Any) -> Response:
        response = super().build_response(*exchange)
        response.raw = _FirstBytes(response.raw)
        return response


def _of_the_url(request: PreparedRequest) -> PreparedRequest:
    """A name and password of the URL itself, as `requests` has it where no other is given."""
    user, password = get_auth_from_url(request.url or "")
    return HTTPBasicAuth(user, password)(request) if user or password else request


class DeadlineSession(Session):
    """For one thread at a time.

    Follows no redirect and sends no password of ~/.netrc. Proxies and private certificates are
    those of the environment.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watch: _Watch | None = None
        self._watcher: threading.Thread | None = None
        self._at_work = threading.Event()
        self.auth = _of_the_url  # without any, requests takes ~/.netrc's
        adapter = _WatchedAdapter(self._watched_pools())
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> None:  # noqa: ARG002 - requests names it
        """None: a redirected POST becomes a GET, and the page it finds would count as success."""
        return

    def merge_environment_settings(self, *given: Any) -> Any:
        """`requests` itself looks at REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE alone."""
        settings = super().merge_environment_settings(*given)
        if settings["verify"] is True:
            settings["verify"] = os.environ.get("SSL_CERT_FILE") or True
        return settings

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection after so many seconds. Raises `TimeoutError` where what had come by
        then looked like a whole answer: headers that end early do.

        What cannot be cut is the search for an address: the resolver has its own limits, and each
        address that it finds is tried for as long as `timeout` says.
        """
        self._watch = watch = _Watch(time.monotonic() + seconds)
        self._ensure_watcher()
        try:
            yield
        finally:
            self._watch = None
        if watch.over:
            raise TimeoutError

    def _ensure_watcher(self) -> None:
        """With the first exchange: a thread does not survive a fork."""
        if self._watcher is None:
            watcher = threading.Thread(target=self._look, name="deadline", daemon=True)
            watcher.start()
            self._watcher = watcher
        self._at_work.set()

    def _look(self) -> None:
        idle_since = time.monotonic()
        while True:
            self._at_work.wait()
            time.sleep(LOOK_EVERY)
            if watch := self._watch:
                watch.look()
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > REST_AFTER:
                self._at_work.clear()
                if self._watch:  # one that began just now
                    self._at_work.set()

    def _watched_pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Pools whose connections show themselves to the watcher."""

        def show(connection: HTTPConnection) -> None:
            if self._watch:
                self._watch.see(connection)

        def shown(base: type[HTTPConnection]) -> type[HTTPConnection]:
            def connect(connection: HTTPConnection) -> None:
                show(connection)
                base.connect(connection)
                show(connection)

            def request(connection: HTTPConnection, *what: Any, **kwargs: Any) -> None:
                show(connection)
                base.request(connection, *what, **kwargs)

            def getresponse(connection: HTTPConnection) -> Any:
                show(connection)
                return base.getresponse(connection)

            own = {"connect": connect, "request": request, "getresponse": getresponse}
            return type(base.__name__, (base,), own)

        def pool(base: type[HTTPConnectionPool], connection: Any) -> type[HTTPConnectionPool]:
            return type(base.__name__, (base,), {"ConnectionCls": shown(connection)})

        return {
            "http": pool(HTTPConnectionPool, HTTPConnection),
            "https": pool(HTTPSConnectionPool, HTTPSConnection),
        }
