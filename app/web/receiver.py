"""Read a webhook's body completely, and limit the memory that all bodies take together."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request

from app.errors import OutboxUnavailable

LARGEST_BODY = 1 << 20
"""Bytes. Drip's events are a few kB, and a track call may not be over 32 KB."""

SMALL_BODY = 1 << 14
"""Bytes. Smaller bodies need no room: the number of connections is limited (gunicorn.conf.py)."""

MOST_BYTES = 24 << 20
"""Bytes of all larger bodies together. While read, each byte is in memory up to three times."""


class Room:
    """A limit on the memory for large bodies, shared by all requests."""

    def __init__(self, size: int = MOST_BYTES) -> None:
        self._left = size
        self._lock = threading.Lock()

    @contextmanager
    def held(self, request: Request) -> Iterator[None]:
        """Reserve memory for the request's body while the block runs.

        Raises `OutboxUnavailable` if too much is taken, and `RequestEntityTooLarge` if the body is
        over the limit by itself.
        """
        length = request.content_length
        size = LARGEST_BODY if length is None else length
        if size > LARGEST_BODY:
            raise RequestEntityTooLarge
        if size <= SMALL_BODY:
            yield
            return
        self._take(size)
        try:
            yield
        finally:
            self._take(-size)

    def _take(self, size: int) -> None:
        with self._lock:
            if size > self._left:
                raise OutboxUnavailable("too many large bodies at once")
            self._left -= size


def read_body(request: Request) -> bytes:
    """Read the whole body. Half of one would end up in quarantine, and could not be sent.

    Raises `RequestEntityTooLarge` and `ClientDisconnected`.
    """
    length = request.content_length
    if length is None:
        # one byte more than allowed, because werkzeug cuts a body at its limit without an error
        request.max_content_length = LARGEST_BODY + 1
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each server raises errors of its own for broken framing
        raise ClientDisconnected from None
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if length not in (None, len(body)):
        raise ClientDisconnected
    return body
