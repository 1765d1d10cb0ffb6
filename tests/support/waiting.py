"""How tests wait."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object], timeout: float = 20.0, report: Callable[[], str] = str
) -> None:
    """Until the condition is true; fails with the report if it is not in time."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout} s: {report()}"
        time.sleep(0.01)
