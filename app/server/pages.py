"""Pages and figures are made in threads, a few at a time: webhooks go first.

What reads the outbox may take long, and an SQLite that reads holds up whatever runs in its thread.
The webhook, whose waits let others go on (app/concurrency.py), is served where the sockets are.
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
"""By PEP 3333."""

AT_ONCE = 2
"""Pages that are made at the same time: a flood of them leaves the interpreter to webhooks."""

PATIENCE = 20.0
"""Seconds that a page may wait for its turn; all that wait hold a connection."""

HERE = ("/webhooks/", "/healthz")
"""Starts of paths that are not served in a thread."""


class Pages:
    """Stands before an app: hands it what is for the webhook, and the rest to threads."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._threads = ThreadPool(AT_ONCE)
        self._turns = BoundedSemaphore(AT_ONCE)

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """By PEP 3333."""
        if environ["PATH_INFO"].startswith(HERE):
            return self._app(environ, start_response)
        if status := _refusal(environ):
            return _refuse(status, start_response)
        # a thread must not wait for the client, whose socket belongs to this one
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(PIECE))
        return self._serve(environ, start_response)

    def _serve(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        pieces = self._pieces(environ, start_response)
        try:
            piece = self._in_turn(pieces)
        except TimeoutError:
            yield from _refuse(HTTPStatus.SERVICE_UNAVAILABLE, start_response)
            return
        try:
            while piece:
                yield piece
                piece = self._in_turn(pieces)
        finally:
            pieces.close()

    def _pieces(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Generator[bytes, None, None]:
        """What the app answers, a piece for each turn."""
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

    def _in_turn(self, pieces: Iterator[bytes]) -> bytes:
        """The next piece, made in a thread; empty after the last. Raises `TimeoutError`."""
        if not self._turns.acquire(timeout=PATIENCE):
            raise TimeoutError
        try:
            made = self._threads.apply(wrap_errors(Exception, next), (pieces, b""))
        finally:
            self._turns.release()
        if isinstance(made, Exception):
            raise made
        return bytes(made)


def _refusal(environ: Mapping[str, Any]) -> HTTPStatus | None:
    """By the head alone: nothing but the webhook takes a large body, or one of unknown length."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return HTTPStatus.LENGTH_REQUIRED
    if int(environ.get("CONTENT_LENGTH") or 0) > PIECE:
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return None


def _refuse(status: HTTPStatus, start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = json.dumps({"status": "refused", "error": status.phrase}).encode()
    fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        fields.append(("Retry-After", "5"))
    start_response(f"{status} {status.phrase}", fields)
    return [body]
