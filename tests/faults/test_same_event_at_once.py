"""Fault 13: Drip sends one event many times, all at the same moment."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from sqlalchemy import Engine, select

from app.database.tables import events
from tests.faults.conftest import scaled
from tests.faults.deliverers import wait_until_sent
from tests.faults.ledger import event, read
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment

ROUNDS = scaled(2, 50)
COPIES = 50


@pytest.mark.fault(13, "the same event 50 times at once, to two web processes")
def test_copies_that_come_at_once_are_one_event(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, seen: Callable[[str], None]
) -> None:
    bridge.start_both(WEB_CONCURRENCY="2")
    answers: Counter[tuple[int, str]] = Counter()
    ids = set()
    at_once = threading.Barrier(COPIES)

    def post(body: bytes) -> requests.Response:
        at_once.wait(timeout=20)
        return bridge.post(body)

    with ThreadPoolExecutor(COPIES) as senders:
        for number in range(ROUNDS):
            found = list(senders.map(post, [event(number)] * COPIES))
            answers.update((answer.status_code, answer.json()["status"]) for answer in found)
            (id_,) = {answer.json().get("message_id") for answer in found}
            ids.add(id_)
    assert answers == {(200, "accepted"): ROUNDS, (200, "duplicate"): ROUNDS * (COPIES - 1)}
    assert len(ids) == ROUNDS
    assert len(read(engine, select(events.c.id))) == ROUNDS
    wait_until_sent(engine, ids)
    assert sorted(segment.message_ids()) == sorted(ids)
    seen(
        f"{ROUNDS} events, {answers.total():,} answers of 200, {ROUNDS} rows, "
        f"{len(segment.message_ids())} received"
    )
