"""How code waits for other code and runs beside it: with threads, or with gevent's greenlets.

The webhook is served by greenlets under the worker (app/server/worker.py), and by threads under
`flask run`, in tests and in commands. What it needs of either is named here, so that nothing else
has to know which it is and nothing of the standard library has to be replaced.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol


class Event(Protocol):
    """As `threading.Event`."""

    def set(self) -> None:
        """Let all go on that wait."""

    def clear(self) -> None:
        """Have those wait that come from now on."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for `set`, so many seconds at most; whether it came."""


@dataclass(frozen=True)
class Concurrency:
    """One way to wait and to run beside others."""

    start: Callable[[Callable[[], None]], object]
    """Run a function beside everything else; it does not keep the process from ending."""

    make_event: Callable[[], Event]

    sleep: Callable[[float], None]
    """Seconds."""

    call_apart: Callable[[Callable[[], Any]], Any]
    """Give what a function that may hang returns, so that only its caller waits for it. It must
    not raise."""


def _start(run: Callable[[], None]) -> None:
    threading.Thread(target=run, daemon=True).start()


THREADS = Concurrency(_start, threading.Event, time.sleep, lambda call: call())
