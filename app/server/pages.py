"""Make pages and metrics in threads, a few at a time, so that they do not delay webhooks.

Reading the outbox may take long, and SQLite blocks the thread that reads. Webhooks are served in
the main thread, where their waits let other greenlets run (app/concurrency.py).
"""

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO
from typing import Any

from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool
from gevent.util import wrap_errors

from app.server.connection import PIECE

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI app (PEP 3333)."""

MAX_THREADS = 2
"""Pages that are made at the same time. More would take the interpreter from webhooks."""

QUEUE_TIMEOUT = 20.0
"""Seconds that a page may wait for a thread. Meanwhile it holds a connection."""

MAIN_THREAD_PATHS = ("/webhooks/", "/v1/", "/healthz")
"""How paths begin that are served in the main thread."""


class Pages:
    """WSGI middleware that calls the app in a thread, unless the request is an event's."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._threads = ThreadPool(MAX_THREADS)
        self._slots = BoundedSemaphore(MAX_THREADS)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve a request (PEP 3333)."""
        if environ["PATH_INFO"].startswith(MAIN_THREAD_PATHS):
            return self._app(environ, start_response)
        if status := _refusal_status(environ):
            return _refuse(status, start_response)
        # read it here: a thread must not wait for the client, whose socket is the main thread's
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(PIECE))
        return self._serve(environ, start_response)

    def _serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        pieces = self._pieces(environ, start_response)
        try:
            piece = self._next_piece(pieces)
        except TimeoutError:
            yield from _refuse(HTTPStatus.SERVICE_UNAVAILABLE, start_response)
            return
        try:
            while piece:
                yield piece
                piece = self._next_piece(pieces)
        finally:
            pieces.close()

    def _pieces(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Generator[bytes, None, None]:
        """Yield the app's answer in pieces, each of which is made in one turn of a thread."""
        parts = self._app(environ, start_response)
        piece = bytearray()
        try:
            for part in parts:
                piece += part
                if len(piece) >= PIECE:
                    yield bytes(piece)
                    piece.clear()
        finally:
            if close := getattr(parts, "close", None):
                close()
        yield bytes(piece)

    def _next_piece(self, pieces: Iterator[bytes]) -> bytes:
        """Make the next piece in a thread. It is empty after the last. Raises `TimeoutError`."""
        if not self._slots.acquire(timeout=QUEUE_TIMEOUT):
            raise TimeoutError
        try:
            result = self._threads.apply(wrap_errors(Exception, next), (pieces, b""))
        finally:
            self._slots.release()
        if isinstance(result, Exception):
            raise result
        return bytes(result)


def _refusal_status(environ: Mapping[str, Any]) -> HTTPStatus | None:
    """Return the status for a body that is large or of unknown length: only webhooks
    and calls of SDKs may have those."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return HTTPStatus.LENGTH_REQUIRED
    if int(environ.get("CONTENT_LENGTH") or 0) > PIECE:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return None


def _refuse(status: HTTPStatus, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = json.dumps({"status": "refused", "error": status.phrase}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "5"))
    start_response(f"{status} {status.phrase}", headers)
    return [body]
