"""One interface for threads and for gevent's greenlets: start, wait and sleep.

Webhooks are served by greenlets under the worker (app/server/worker.py), and by threads under
`flask run`, in tests and in commands. Because the code for webhooks uses this interface only, the
standard library does not have to be monkey-patched.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Event(Protocol):
    """The methods of `threading.Event` that are used."""

    def set(self) -> None:
        """Wake all that wait."""

    def clear(self) -> None:
        """Make later calls of `wait` wait."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `set`, at most so many seconds. Return whether it is set."""


@dataclass(frozen=True)
class Concurrency:
    """How to run functions concurrently, and how to wait."""

    start: Callable[[Callable[[], None]], object]
    """Run a function in the background. It does not keep the process from ending."""

    make_event: Callable[[], Event]

    sleep: Callable[[float], None]
    """Sleep for so many seconds."""

    call_apart: Callable[[Callable[[], Any]], Any]
    """Call a function that may block for long, and return its result. Only the caller waits for it.
    The function must not raise."""


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


THREADS = Concurrency(_start_thread, threading.Event, time.sleep, lambda call: call())
