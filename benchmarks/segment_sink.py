"""Segment as cheap as it can be: takes every batch and counts its calls.

`python -m benchmarks.segment_sink PORT`. A GET is answered with how many calls there were so far,
how many of them after the first batch, and when the first and the latest batch came, in seconds
since the epoch.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from benchmarks.http_messages import take_message


@dataclass
class Tally:
    """What came."""

    calls: int = 0
    after_first: int = 0
    first: float = 0.0
    latest: float = 0.0

    def add(self, calls: int) -> None:
        """A batch came."""
        self.latest = time.time()
        if self.calls:
            self.after_first += calls
        else:
            self.first = self.latest
        self.calls += calls

    @property
    def rate(self) -> float:
        """Calls a second, between the first batch and the latest."""
        return self.after_first / (self.latest - self.first)


class Connection(asyncio.Protocol):
    """One sender's."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by asyncio, with any piece of any number of requests."""
        self._received += data
        while request := take_message(self._received):
            body = self._answer(request)
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)

    def _answer(self, request: bytes) -> bytes:
        if request.startswith(b"GET"):
            return json.dumps(asdict(self._tally)).encode()
        self._tally.add(request.count(b'"messageId"'))
        return b'{"success": true}'


async def main(port: int) -> None:
    """Until killed."""
    tally = Tally()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(tally), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
