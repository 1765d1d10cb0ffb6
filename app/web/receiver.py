"""A webhook's body: whole or not at all, and never too much of them in memory at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request

from app.errors import OutboxUnavailable

LARGEST_BODY = 1 << 20
"""Bytes. Drip's events are a few kB; a track call cannot be over 32 KB."""

SMALL_BODY = 1 << 14
"""Bytes. So many are always taken: connections are counted already (gunicorn.conf.py)."""

MOST_BYTES = 24 << 20
"""Of all larger bodies together. While they are read, each byte is in memory up to three times."""


class Room:
    """The memory for large bodies, shared by all callers."""

    def __init__(self, size: int = MOST_BYTES) -> None:
        self._left = size
        self._lock = threading.Lock()

    @contextmanager
    def held(self, request: Request) -> Iterator[None]:
        """While the block runs, the request's body has its room.

        Raises `OutboxUnavailable` if there is none, `RequestEntityTooLarge` if there never will be.
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
    """The whole body or an error: half of one, kept, would stand in quarantine for nothing.

    Raises `RequestEntityTooLarge` and `ClientDisconnected`.
    """
    length = request.content_length
    if length is None:  # one more than we take: werkzeug ends a body at its limit without a word
        request.max_content_length = LARGEST_BODY + 1
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - how broken framing is told is the server's own affair
        raise ClientDisconnected from None
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if length not in (None, len(body)):
        raise ClientDisconnected
    return body
