"""A `requests` session with limits on how long and how large a whole exchange may be.

A timeout of `requests` is per socket operation, so an answer that comes byte by byte never meets
it. Neither `requests` nor urllib3 limits the whole exchange, so a thread cuts the connection.
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
"""Seconds between checks of the deadline, by which it may be missed. A timer for each exchange
would be exact, but its thread costs a tenth as much as the exchange."""

REST_AFTER = 1.0
"""Seconds without an exchange after which the thread sleeps."""

MOST_BYTES = 1_000_000
"""The largest part of an answer's body that is read."""


class _Watch:
    """The deadline of one exchange, and the connection to cut when it passes."""

    def __init__(self, until: float) -> None:
        self._until = until
        """By the monotonic clock."""
        self.is_over = False
        self._connection: HTTPConnection | None = None
        self._socket: Any = None

    def observe(self, connection: HTTPConnection) -> None:
        """Remember the connection in use, and its socket.

        TLS and proxies replace the socket while the connection is made. While an answer is read,
        the connection may have released its socket.
        """
        self._connection = connection
        self._socket = connection.sock
        self.check()

    def check(self) -> None:
        """Cut the connection if the deadline has passed. Not only the thread looks: of a process
        that was stopped for a while, another thread may go on first, and it must not post late."""
        if self.is_over or time.monotonic() >= self._until:
            self._cut()

    def _cut(self) -> None:
        self.is_over = True
        sock = (self._connection and self._connection.sock) or self._socket
        if sock:
            with suppress(OSError):  # closed already
                sock.shutdown(socket.SHUT_RDWR)


class _LimitedBody:
    """An answer's raw body, cut off after `MOST_BYTES`."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[bytes]:
        """Yield chunks of the body. `requests` calls this."""
        left = MOST_BYTES
        for chunk in self._raw.stream(*args, **kwargs):
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                self._raw.close()
                return


class _WatchedAdapter(HTTPAdapter):
    """An adapter that uses the given connection pools, for proxies too."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]]) -> None:
        super().__init__()
        self._pools = pools
        self.poolmanager.pool_classes_by_scheme = pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def build_response(self, *args: Any) -> Response:
        response = super().build_response(*args)
        response.raw = _LimitedBody(response.raw)
        return response


def _auth_from_url(request: PreparedRequest) -> PreparedRequest:
    """Send the user name and password that are in the URL, if any, as `requests` does."""
    user, password = get_auth_from_url(request.url or "")
    return HTTPBasicAuth(user, password)(request) if user or password else request


class DeadlineSession(Session):
    """A session for one thread at a time, which has deadlines and follows no redirects.

    Passwords in ~/.netrc are not sent. Proxies and private certificates come from the environment.
    """

    def __init__(self) -> None:
        super().__init__()
        self._watch: _Watch | None = None
        self._watcher: threading.Thread | None = None
        self._is_active = threading.Event()
        self.auth = _auth_from_url  # without one, requests sends the password in ~/.netrc
        adapter = _WatchedAdapter(self._watched_pools())
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: Response) -> None:  # noqa: ARG002 - requests names it
        """Follow none: a redirected POST becomes a GET, whose page would look like a success."""
        return

    def merge_environment_settings(self, *args: Any) -> Any:
        """Heed SSL_CERT_FILE too: `requests` reads only REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE."""
        settings = super().merge_environment_settings(*args)
        if settings["verify"] is True:
            settings["verify"] = os.environ.get("SSL_CERT_FILE") or True
        return settings

    @contextmanager
    def deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection after so many seconds.

        Raises `TimeoutError` if the deadline passed, even if what had come looked like a whole
        answer: headers that are cut short do.

        DNS lookups cannot be cut. The resolver has its own limits, and each address that it returns
        is tried for `timeout` seconds.
        """
        self._watch = watch = _Watch(time.monotonic() + seconds)
        self._ensure_watcher()
        try:
            yield
        finally:
            self._watch = None
        if watch.is_over:
            raise TimeoutError

    def _ensure_watcher(self) -> None:
        """Start the thread with the first exchange, because threads do not survive a fork."""
        if self._watcher is None:
            watcher = threading.Thread(target=self._run_watcher, name="deadline", daemon=True)
            watcher.start()
            self._watcher = watcher
        self._is_active.set()

    def _run_watcher(self) -> None:
        idle_since = time.monotonic()
        while True:
            self._is_active.wait()
            time.sleep(LOOK_EVERY)
            if watch := self._watch:
                if not watch.is_over:
                    watch.check()
                idle_since = time.monotonic()
            elif time.monotonic() - idle_since > REST_AFTER:
                self._is_active.clear()
                if self._watch:  # an exchange began just now
                    self._is_active.set()

    def _watched_pools(self) -> dict[str, type[HTTPConnectionPool]]:
        """Return connection pools that report each connection to the watcher."""

        def report(connection: HTTPConnection) -> None:
            if self._watch:
                self._watch.observe(connection)

        def watched(base: type[HTTPConnection]) -> type[HTTPConnection]:
            def connect(connection: HTTPConnection) -> None:
                report(connection)
                base.connect(connection)
                report(connection)

            def request(connection: HTTPConnection, *args: Any, **kwargs: Any) -> None:
                report(connection)
                base.request(connection, *args, **kwargs)

            def getresponse(connection: HTTPConnection) -> Any:
                report(connection)
                return base.getresponse(connection)

            methods = {"connect": connect, "request": request, "getresponse": getresponse}
            return type(base.__name__, (base,), methods)

        def pool(base: type[HTTPConnectionPool], connection: Any) -> type[HTTPConnectionPool]:
            return type(base.__name__, (base,), {"ConnectionCls": watched(connection)})

        return {
            "http": pool(HTTPConnectionPool, HTTPConnection),
            "https": pool(HTTPSConnectionPool, HTTPSConnection),
        }
