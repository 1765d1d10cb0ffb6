"""Who was promised what: every id that got a 2xx, against every id that Segment received."""

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import requests
from sqlalchemy import Engine, Row, Select

from tests.support.bridge_process import ROOT, TOKEN
from tests.support.fake_segment import FakeSegment
from tests.support.waiting import wait_until

_CLICK = json.loads((ROOT / "samples" / "clicked_email.json").read_text())


def event(number: int, account: str = "4417") -> bytes:
    """A click like no other: its delivery tells it apart."""
    body = json.loads(json.dumps(_CLICK))
    body["data"]["account_id"] = account
    body["data"]["properties"]["delivery_id"] = f"d{number}"
    return json.dumps(body).encode()


def read(engine: Engine, statement: Select[Any]) -> list[Row[Any]]:
    """Rows, without the write lock that a transaction on SQLite begins with."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        return list(connection.execute(statement))


@dataclass
class Ledger:
    """Counts are of webhooks posted; ids are message ids."""

    promised: set[str] = field(default_factory=set)
    answers: Counter[int | str] = field(default_factory=Counter)
    """By status, or by the kind of error where no answer came."""
    slowest: float = 0.0
    """Seconds that an answer took at most."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, answer: requests.Response) -> bool:
        """Whether it is a promise."""
        with self._lock:
            self.answers[answer.status_code] += 1
            self.slowest = max(self.slowest, answer.elapsed.total_seconds())
            if answer.status_code == 200:
                self.promised.add(answer.json()["message_id"])
        return answer.status_code == 200

    def record_failure(self, error: requests.RequestException) -> None:
        """No answer came."""
        with self._lock:
            self.answers[type(error).__name__] += 1

    def wait_for_more(self, status: int) -> None:
        """Until five more answers of this kind came."""
        wanted = self.answers[status] + 5
        wait_until(lambda: self.answers[status] >= wanted, 40, lambda: str(self.answers))

    def wait_for_all(self, segment: FakeSegment, seconds: float) -> None:
        """Until every promise is kept; fails where one is not in time."""
        wait_until(
            lambda: not self.missing(segment),
            seconds,
            lambda: f"{len(self.missing(segment))} of {self.summary(segment)}",
        )

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

    def __init__(
        self,
        webhook: str,
        ledger: Ledger,
        threads: int = 8,
        accounts: Sequence[str] = ("4417",),
        pause: float = 0.0,
    ) -> None:
        self._webhook = webhook
        self._ledger = ledger
        self._numbers = count()
        self._accounts = accounts
        self._pause = pause
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
            number = next(self._numbers)
            body = event(number, self._accounts[number % len(self._accounts)])
            while not self._post(session, body) and not self._stop.wait(0.1):
                pass
            self._stop.wait(self._pause)

    def _post(self, session: requests.Session, body: bytes) -> bool:
        try:
            answer = session.post(self._webhook, params={"token": TOKEN}, data=body, timeout=30)
        except requests.RequestException as error:
            self._ledger.record_failure(error)
            return False
        return self._ledger.record(answer)
