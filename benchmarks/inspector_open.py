"""What open inspectors cost accepting: `python -m benchmarks.inspector_open [ROUNDS]`.

gunicorn as shipped over SQLite, eight senders flat out, in turns with and without three pages open
that ask for their live part every 5 seconds. Prints each round's rates and the median of their
ratios.
"""

import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from sqlalchemy.engine import make_url

from tests.faults.attacks import ValidTraffic
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment

PAGES = 3
EVERY = 5.0
SECONDS = 12.0
PASSWORD = "a-password-for-the-pages"


def log_in(base: str) -> requests.Session:
    """A browser's session."""
    session = requests.Session()
    form = session.get(f"{base}/login", timeout=10).text
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form)
    assert token
    answer = session.post(
        f"{base}/login", data={"password": PASSWORD, "csrf_token": token[1]}, timeout=10
    )
    assert answer.ok, answer.status_code
    return session


@contextmanager
def open_pages(base: str) -> Iterator[list[float]]:
    """Gives how long each answer took, in seconds."""
    stop, took = threading.Event(), list[float]()

    def stay(first: float) -> None:
        session = log_in(base)
        stop.wait(first)
        while not stop.is_set():
            began = time.perf_counter()
            assert session.get(f"{base}/live/overview", timeout=10).ok
            took.append(time.perf_counter() - began)
            stop.wait(EVERY)

    threads = [threading.Thread(target=stay, args=(page * EVERY / PAGES,)) for page in range(PAGES)]
    for thread in threads:
        thread.start()
    try:
        yield took
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def rate_of(bridge: BridgeProcess) -> float:
    """Webhooks accepted in a second."""
    with ValidTraffic(bridge, connections=8) as traffic:
        time.sleep(SECONDS)
    assert traffic.others == []
    return traffic.rate


def main(rounds: int) -> None:
    """Print a line a round, and the median."""
    with FakeSegment() as segment, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with BridgeProcess(make_url(f"sqlite:///{folder}/b.db"), segment.url, folder) as bridge:
            bridge.environ["INSPECTOR_PASSWORD"] = PASSWORD
            bridge.start_web()
            rate_of(bridge)
            ratios = []
            for number in range(rounds):
                alone = rate_of(bridge)
                with open_pages(bridge.base) as took:
                    along = rate_of(bridge)
                ratios.append(along / alone)
                print(
                    f"round {number + 1}: {alone:,.0f}/s alone, {along:,.0f}/s with {PAGES} pages "
                    f"open ({along / alone:.3f}); a page's part took "
                    f"{statistics.median(took) * 1000:.0f} ms"
                )
            print(f"median {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 5)
