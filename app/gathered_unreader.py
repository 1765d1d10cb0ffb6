"""Where gunicorn's parser reads a request that the event loop has gathered."""

import socket

from gunicorn.http.unreader import SocketUnreader

_HANDED = 2048
"""Bytes handed to gunicorn's parser at a time: it copies what it holds for each chunk of a body."""


class GatheredUnreader(SocketUnreader):  # type: ignore[misc]
    """First what was gathered, then the socket."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, _HANDED)
        self._gathered = memoryview(b"")

    def hand_over(self, gathered: bytearray) -> None:
        """These bytes stand before whatever the socket has."""
        self._gathered = memoryview(bytes(gathered))

    def chunk(self, size_hint: int | None = None) -> bytes:
        """`size_hint` is how much more the reader can take, where it knows."""
        if not self._gathered:
            return bytes(super().chunk(size_hint))
        size = max(size_hint or 0, _HANDED)
        piece, self._gathered = self._gathered[:size], self._gathered[size:]
        return bytes(piece)

    def take_buffered(self) -> bytes:
        """All that was read ahead of the request behind."""
        rest = bytes(super().take_buffered()) + bytes(self._gathered)
        self._gathered = memoryview(b"")
        return rest
