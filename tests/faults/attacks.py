"""What the attacks share: webhooks in every dress, and valid traffic to see how it fares."""

import threading
import time
from itertools import count

import psutil

from tests.faults.ledger import event
from tests.support.bridge_process import TOKEN, BridgeProcess
from tests.support.wire import Wire

WEBHOOK = f"/webhooks/drip?token={TOKEN}"
WRONG = "/webhooks/drip?token=a-token-that-is-not-ours"

_numbers = count()


def post(body: bytes, target: str = WEBHOOK, fields: bytes = b"") -> bytes:
    """A whole request."""
    return head(target) + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def head(target: str = WEBHOOK) -> bytes:
    """The start of one, without the empty line."""
    return f"POST {target} HTTP/1.1\r\nHost: example.com\r\n".encode()


def memory(bridge: BridgeProcess) -> int:
    """Bytes that the web workers hold."""
    processes = map(psutil.Process, bridge.pids())
    return sum(child.memory_info().rss for process in processes for child in process.children())


class ValidTraffic:
    """New events one after the other over kept connections; how long each answer took."""

    def __init__(self, bridge: BridgeProcess, connections: int = 1, pause: float = 0.0) -> None:
        self._bridge = bridge
        self._pause = pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]
        self.seconds: list[float] = []
        self.others: list[object] = []
        """Whatever is not a 200."""

    def __enter__(self) -> "ValidTraffic":
        self.started = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.rate = len(self.seconds) / (time.monotonic() - self.started)

    def p99(self) -> float:
        """Of the seconds an answer took."""
        return sorted(self.seconds)[len(self.seconds) * 99 // 100]

    def _run(self) -> None:
        with Wire(self._bridge.port, timeout=30) as wire:
            while not self._stop.wait(self._pause):
                start = time.monotonic()
                wire.send(post(event(next(_numbers))))
                status = wire.answer().status
                self.seconds.append(time.monotonic() - start)
                if status != 200:
                    self.others.append(status)
