"""A fixed number of webhooks a second: `python -m benchmarks.steady_load URL RATE SECONDS`.

They fall due evenly spaced, and each one's latency counts from then: one that has to wait for a
connection, because all are busy, is late by that much. Prints one line of JSON.
"""

import asyncio
import json
import selectors
import sys
from collections import deque
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.bodies import body_around
from benchmarks.http_messages import take_message

CONNECTIONS = 32
PATIENCE = 2
"""Times as long as the posts took to fall due, and a minute: so late may the last answer be."""


class Connection(asyncio.Protocol):
    """One post at a time."""

    def __init__(self, load: "SteadyLoad") -> None:
        self._load = load
        self._received = bytearray()
        self._due: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def post(self, due: float, request: bytes) -> None:
        """Send it now."""
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        self._received += data
        answer = take_message(self._received)
        if answer and self._due is not None:
            due, self._due = self._due, None
            self._load.note(due, answer.startswith(b"HTTP/1.1 2"))
            self._load.free(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Called by asyncio: none is used again."""
        if self._due is not None:
            self._load.note(self._due, is_kept=False)
        self._load.lose(self)


class SteadyLoad:
    """The schedule, the connections, and what came back."""

    def __init__(self, url: str, rate: float, seconds: float) -> None:
        self._where = urlsplit(url)
        self._rate = rate
        self._count = round(rate * seconds)
        self._before, self._after = _request_around(url)
        self._run = uuid4().hex
        self._sent = 0
        # the one that rested longest comes next, or a server would close those that rest
        self._free = deque[Connection]()
        self._waiting = deque[float]()
        self._latencies = list[float]()
        self._failed = 0
        self._ended = asyncio.Event()

    async def run(self) -> dict[str, float]:
        """Post them all, and wait for the answers."""
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, made = await loop.create_connection(
                lambda: Connection(self), self._where.hostname or "", self._where.port or 80
            )
            self._free.append(made)
        began = loop.time() + 0.1
        for number in range(self._count):
            due = began + number / self._rate
            if (pause := due - loop.time()) > 0:
                await asyncio.sleep(pause)
            self._offer(due)
        async with asyncio.timeout(60 + PATIENCE * self._count / self._rate):
            await self._ended.wait()
        return self._found(loop.time() - began)

    def note(self, due: float, is_kept: bool) -> None:
        """A post has ended."""
        if is_kept:
            self._latencies.append(asyncio.get_running_loop().time() - due)
        else:
            self._failed += 1
        if len(self._latencies) + self._failed == self._count:
            self._ended.set()

    def free(self, connection: Connection) -> None:
        """The connection can take another."""
        if self._waiting:
            connection.post(self._waiting.popleft(), self._next())
        else:
            self._free.append(connection)

    def lose(self, connection: Connection) -> None:
        """The connection is gone."""
        if connection in self._free:
            self._free.remove(connection)

    def _offer(self, due: float) -> None:
        if self._free:
            self._free.popleft().post(due, self._next())
        else:
            self._waiting.append(due)

    def _next(self) -> bytes:
        self._sent += 1
        return b"%b%b-%08d%b" % (self._before, self._run.encode(), self._sent, self._after)

    def _found(self, seconds: float) -> dict[str, float]:
        ordered = sorted(self._latencies) or [0.0]
        return {
            "answers": len(self._latencies),
            "seconds": seconds,
            "p99": ordered[len(ordered) * 99 // 100],
            "failed": self._failed,
        }


def _request_around(url: str) -> tuple[bytes, bytes]:
    before, after = body_around()
    length = len(before) + len(uuid4().hex) + len("-00000000") + len(after)
    where = urlsplit(url)
    head = (
        f"POST {where.path}?{where.query} HTTP/1.1\r\nHost: {where.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
    return head.encode() + before, after


def main(url: str, rate: float, seconds: float) -> None:
    """Print what was found."""
    # select counts its timeout in microseconds; epoll would wake us up to 1 ms late
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())
    ) as runner:
        print(json.dumps(runner.run(SteadyLoad(url, rate, seconds).run())))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
