"""Requests that take turns on one thread: each runs until it waits, and goes on when it is told.

With a thread for each, threads hand the interpreter to one another in the middle of everything, and
that takes a third of the rate at which webhooks are accepted (docs/performance.md).
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol, TypeVar

from greenlet import getcurrent, greenlet

Answer = TypeVar("Answer")


class HeldLock(Protocol):
    """What waits for another thread, once."""

    def acquire(self, *, timeout: float) -> bool:
        """Wait for `release`, so many seconds at most; whether it came in time."""

    def release(self) -> None:
        """Called by any thread, once."""


def held_lock() -> HeldLock:
    """For whoever asks: a thread waits in it, a request lets the others take their turns."""
    current = getcurrent()
    if isinstance(current, _Request):
        return _TurnLock(current)
    lock = threading.Lock()
    lock.acquire()
    return lock


class Turns:
    """The requests that one thread serves: all methods but `tell` are called there."""

    def __init__(self, call_soon: Callable[[Callable[[], None]], None]) -> None:
        """`call_soon` has a function called by that thread; it is called by others."""
        self._call_soon = call_soon
        self._deadlines: dict[_TurnLock, float] = {}
        self._told: deque[_TurnLock] = deque()
        self._telling = threading.Lock()

    @property
    def somebody_waits(self) -> bool:
        """Then `give_up` is to be called soon, also where nothing else happens."""
        return bool(self._deadlines)

    def run(self, work: Callable[[], Answer], then: Callable[[Answer], object]) -> None:
        """Work until it waits; `then` is called with what it returns, be it now or later."""
        _Request(self, work, then).go_on()

    def go_on(self) -> None:
        """Whoever was told takes a turn."""
        while self._told:
            lock = self._told.popleft()
            if self._deadlines.pop(lock, None) is not None:
                lock.request.go_on(True)

    def give_up(self) -> None:
        """So does whose time is up. Called every now and then."""
        now = time.monotonic()
        for lock in [lock for lock, deadline in self._deadlines.items() if deadline <= now]:
            del self._deadlines[lock]
            lock.request.go_on(False)

    def wait(self, lock: "_TurnLock", timeout: float) -> bool:
        """Called by a request: whether it was told in time."""
        self._deadlines[lock] = time.monotonic() + timeout
        return lock.request.pause()

    def tell(self, lock: "_TurnLock") -> None:
        """Called by any thread."""
        with self._telling:
            self._told.append(lock)
            if len(self._told) == 1:  # before another, it is found along with that one
                self._call_soon(self.go_on)


class _Request(greenlet):
    """A stack of its own, put aside while it waits."""

    def __init__(
        self, turns: Turns, work: Callable[[], Answer], then: Callable[[Answer], object]
    ) -> None:
        super().__init__(work)
        self.turns = turns
        self._then = then
        self._loop = getcurrent()

    def go_on(self, *told: bool) -> None:
        """Called by the loop: the request goes on until it ends or waits."""
        answer = self.switch(*told)
        if self.dead:
            self._then(answer)

    def pause(self) -> bool:
        """Called by the request: the loop goes on until it calls `go_on` with what this returns."""
        return bool(self._loop.switch())


class _TurnLock:
    def __init__(self, request: _Request) -> None:
        self.request = request

    def acquire(self, *, timeout: float) -> bool:
        return self.request.turns.wait(self, timeout)

    def release(self) -> None:
        self.request.turns.tell(self)
