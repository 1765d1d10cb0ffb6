"""Two `flask deliver` over one PostgreSQL: each event sent once, each batch within the limits."""

import json
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.tables import events
from app.outbox.store import Store
from tests.support.bridge_process import BridgeProcess
from tests.support.builders import message
from tests.support.fake_segment import OK, Batch, FakeSegment, Reply

EVENTS = 8_000
LARGE = 800
"""So many are large: their batches are full by bytes, the others' by number."""

LARGE_CALL = 5_925
"""Bytes; 80 of them are just what a batch may carry, and 81 are too much."""

SMALL_CALL = 400
LARGEST_BODY = 475_000


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Over a PostgreSQL alone, with the schema: `postgres_url` sees to that."""
    engine = open_database(make_url(postgres_url).set(drivername="postgresql+psycopg"))
    yield engine
    engine.dispose()


def payload(number: int) -> str:
    call = {"type": "track", "event": "Email Opened", "messageId": f"m{number}", "fill": ""}
    size = LARGE_CALL if number < LARGE else SMALL_CALL
    call["fill"] = "x" * (size - len(json.dumps(call)))
    return json.dumps(call)


def when_both_have_come() -> Callable[[Batch], Reply]:
    """Answers as usual, but the first batch of each only once the other's is there too."""
    both = threading.Barrier(2)
    come: set[str] = set()

    def behave(batch: Batch) -> Reply:
        if batch.write_key not in come:
            come.add(batch.write_key)
            both.wait(timeout=8)  # less than a deliverer waits for its answer
        return OK

    return behave


def put_all(store: Store) -> None:
    for start in range(0, EVENTS, 1_000):
        store.put([message(f"m{n}", payload=payload(n)) for n in range(start, start + 1_000)])


def test_two_deliverers_send_each_event_once(
    engine: Engine, segment: FakeSegment, tmp_path: Path
) -> None:
    put_all(Store(engine, "segment"))
    segment.behave = when_both_have_come()

    with BridgeProcess(engine.url, segment.url, tmp_path) as bridge:
        deliverers = [bridge.start_deliverer(SEGMENT_WRITE_KEY=key) for key in ("one", "two")]
        segment.wait_for(EVENTS, seconds=60)
        for deliverer in deliverers:
            deliverer.send_signal(signal.SIGTERM)
        assert [deliverer.wait(timeout=20) for deliverer in deliverers] == [0, 0]

    assert sorted(segment.message_ids()) == sorted(f"m{n}" for n in range(EVENTS))
    assert max(len(batch.calls) for batch in segment.batches) == 100
    assert 80 * LARGE_CALL < max(len(batch.body) for batch in segment.batches) <= LARGEST_BODY
    shares = Counter(batch.write_key for batch in segment.batches)
    assert min(shares["one"], shares["two"]) > len(segment.batches) / 10
    with engine.connect() as connection:
        states = connection.execute(select(events.c.state, func.count()).group_by(events.c.state))
        assert [tuple(row) for row in states] == [("sent", EVENTS)]
