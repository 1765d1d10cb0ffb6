"""A pooler over a PostgreSQL that gives each transaction another session, as PgBouncer does in
transaction mode, and refuses what that refuses."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import cycle
from typing import BinaryIO, Self

AUTHENTICATED = b"R" + struct.pack("!ii", 8, 0)
OWN_KEY = b"K" + struct.pack("!iii", 12, 1_000_000_007, 7)
IDLE = b"Z" + struct.pack("!i", 5) + b"I"
REFUSAL = b"SFATAL\0C08P01\0Munsupported startup parameter: options\0\0"
PLAIN_ONLY = (80877103, 80877104)
"""Whether TLS or GSSAPI is spoken here."""
END = (b"S", b"Q")
"""What a client sends last before it waits for answers: a Sync, or a simple query."""


class Pooler:
    """Listens on loopback, in front of `sessions` connections to the server's Unix socket."""

    def __init__(self, server: str, user: str, database: str, sessions: int = 3) -> None:
        self._sessions = [_Session(server, user, database) for _ in range(sessions)]
        self._turns = cycle(self._sessions)
        self._choosing = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self._sessions:
            session.wire.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client, client.makefile("rb") as said:
            while (start := _read_start(said))[0] in PLAIN_ONLY:
                client.sendall(b"N")
            if b"\0options\0" in start[1]:
                client.sendall(b"E" + struct.pack("!i", 4 + len(REFUSAL)) + REFUSAL)
                return
            client.sendall(AUTHENTICATED + self._sessions[0].told + OWN_KEY + IDLE)
            while True:
                self._run_transaction(client, _messages(said))

    def _run_transaction(
        self, client: socket.socket, messages: Iterator[tuple[bytes, bytes]]
    ) -> None:
        request = b""
        session: _Session | None = None
        try:
            for kind, message in messages:
                if kind == b"X":
                    raise ConnectionError
                request += message
                if kind not in END:
                    continue
                session = session or self._choose()
                answer, is_over = session.ask(request)
                client.sendall(answer)
                request = b""
                if is_over:
                    return
            raise ConnectionError
        finally:
            if session:
                session.taken.release()

    def _choose(self) -> "_Session":
        while True:
            with self._choosing:
                session = next(self._turns)
            if session.taken.acquire(timeout=0.01):
                return session


class _Session:
    def __init__(self, server: str, user: str, database: str) -> None:
        self.taken = threading.Lock()
        self.wire = socket.socket(socket.AF_UNIX)
        self.wire.connect(server)
        self._heard = self.wire.makefile("rb")
        words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", database, ""))
        self.wire.sendall(struct.pack("!ii", 8 + len(words), 196608) + words)
        started = list(self._answers())
        self.told = b"".join(message for kind, message in started if kind == b"S")

    def ask(self, request: bytes) -> tuple[bytes, bool]:
        """The answer, and whether no transaction is open behind it."""
        self.wire.sendall(request)
        answer = b"".join(message for _, message in self._answers())
        return answer, answer.endswith(b"I")

    def _answers(self) -> Iterator[tuple[bytes, bytes]]:
        for kind, message in _messages(self._heard):
            yield kind, message
            if kind == b"Z":
                return


def _read_start(said: BinaryIO) -> tuple[int, bytes]:
    head = said.read(8)
    length, code = struct.unpack("!ii", head)
    return code, said.read(length - 8)


def _messages(heard: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    while kind := heard.read(1):
        size = heard.read(4)
        yield kind, kind + size + heard.read(struct.unpack("!i", size)[0] - 4)
