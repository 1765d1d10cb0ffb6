"""Where gunicorn writes an answer that is to leave in one piece."""

from gunicorn.workers.gthread import TConn


class BrokenOff(Exception):
    """The app failed in the middle of its answer: nothing has left, so the client gets another."""


class GatheredAnswer:
    """Stands for a connection and for its socket. gunicorn sends the head of an answer and its body
    one after the other: two calls of the system, and two packets."""

    def __init__(self, conn: TConn) -> None:
        self.client = conn.client
        self.server = conn.server
        self.sock = self
        self._connection = conn.sock
        self._pieces: list[bytes] = []

    def sendall(self, piece: bytes) -> None:
        """It waits for the others."""
        self._pieces.append(piece)

    send = sendall

    def shutdown(self, _: int) -> None:
        """How gunicorn ends an answer that breaks off. Raises `BrokenOff`."""
        raise BrokenOff

    def close(self) -> None:
        """Called after `shutdown`; it is the worker that ends the connection."""

    def leave(self) -> None:
        """Raises `OSError`, also where the client would have to be waited for."""
        self._connection.sendall(b"".join(self._pieces))
