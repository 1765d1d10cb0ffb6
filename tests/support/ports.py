"""Ports for processes that tests start, which nobody else is given meanwhile."""

import os
import socket
from itertools import count

FIRST, LAST = 10_500, 32_500
"""Outside the range from which systems choose ports by themselves: one that was free a moment ago
would be given to another test's server before the process has bound it."""

_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw") or 0)
_next = count(os.getpid() % 1_000 + 5_000 * _worker)


def free_port() -> int:
    """A port that nobody listens on. No other call in this run returns it soon."""
    while True:
        port = FIRST + next(_next) % (LAST - FIRST)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
