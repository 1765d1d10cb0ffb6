"""Who was promised what: every id that got a 2xx, against every id that Segment received."""

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count

import requests

from tests.bridge_process import ROOT, TOKEN
from tests.fake_segment import FakeSegment

_CLICK = json.loads((ROOT / "samples" / "clicked_email.json").read_text())


def event(number: int, account: str = "4417") -> bytes:
    """A click like no other: its delivery tells it apart."""
    body = json.loads(json.dumps(_CLICK))
    body["data"]["account_id"] = account
    body["data"]["properties"]["delivery_id"] = f"d{number}"
    return json.dumps(body).encode()


@dataclass
class Ledger:
    """Counts are of webhooks posted; ids are message ids."""

    promised: set[str] = field(default_factory=set)
    answers: Counter[int | str] = field(default_factory=Counter)
    """By status, or by the kind of error where no answer came."""

    def wait_for_all(self, segment: FakeSegment, seconds: float) -> None:
        """Until every promise is kept; fails where one is not in time."""
        deadline = time.monotonic() + seconds
        while missing := self.missing(segment):
            assert time.monotonic() < deadline, f"{len(missing)} of {self.summary(segment)}"
            time.sleep(0.1)

    def summary(self, segment: FakeSegment) -> str:
        """For the table."""
        return (
            f"{len(self.promised):,} promised, {len(self.missing(segment)):,} missing, "
            f"{self.repeats(segment):,} sent again with the same id"
        )

    def missing(self, segment: FakeSegment) -> set[str]:
        """Promised and never received: what must stay empty."""
        return self.promised - set(segment.message_ids())

    def repeats(self, segment: FakeSegment) -> int:
        """Received again with the same id: what Segment drops."""
        ids = segment.message_ids()
        return len(ids) - len(set(ids))


class Load:
    """Posts new events from several threads, as Drip would: what got a 429 or no answer, again."""

    def __init__(self, webhook: str, ledger: Ledger, threads: int = 8) -> None:
        self._webhook = webhook
        self._ledger = ledger
        self._numbers = count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        session = requests.Session()
        while not self._stop.is_set():
            body = event(next(self._numbers))
            while not self._post(session, body) and not self._stop.wait(0.1):
                pass

    def _post(self, session: requests.Session, body: bytes) -> bool:
        try:
            answer = session.post(self._webhook, params={"token": TOKEN}, data=body, timeout=30)
        except requests.RequestException as error:
            with self._lock:
                self._ledger.answers[type(error).__name__] += 1
            return False
        with self._lock:
            self._ledger.answers[answer.status_code] += 1
            if answer.status_code == 200:
                self._ledger.promised.add(answer.json()["message_id"])
        return answer.status_code == 200
