"""A clock that tests set."""

from collections.abc import Callable

from tests.support.builders import NOW


class Clock:
    """Goes on only when told to, or by what is waited, and lets something happen meanwhile."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.happens: list[tuple[float, Callable[[], object]]] = []
        """What is to happen, and when; in order."""

    def __call__(self) -> float:
        return self.now

    def time(self) -> float:
        """As the module `time` has it."""
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self.happens and self.happens[0][0] <= self.now:
            self.happens.pop(0)[1]()
