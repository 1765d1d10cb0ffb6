"""Fault 12: many deliverers over one outbox, all at the same events."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, column, func, select, table, text

from app.delivery.worker import LEASE
from app.outbox.messages import Message
from app.outbox.store import Store
from tests.faults.conftest import scaled
from tests.faults.ledger import read
from tests.support.bridge_process import BridgeProcess
from tests.support.builders import message
from tests.support.fake_segment import FakeSegment, Reply

LARGE_CALL, SMALL_CALL = 5_925, 400
"""Bytes. Batches of the one are full by bytes, of the other by number."""

LARGEST_BODY = 475_000
CLAIMS = "event BIGINT, before TEXT, before_until DOUBLE PRECISION, until DOUBLE PRECISION"
NOTE = "INSERT INTO claims VALUES (old.id, old.lease, old.due_at, new.due_at);"
WHEN = "AFTER UPDATE OF lease ON events FOR EACH ROW WHEN (new.lease IS NOT NULL)"
BODY = f"$$ BEGIN {NOTE} RETURN NULL; END $$"
WATCH = {
    "sqlite": [f"CREATE TRIGGER watch {WHEN} BEGIN {NOTE} END"],
    "postgresql": [
        f"CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS {BODY}",
        f"CREATE TRIGGER watch {WHEN} EXECUTE FUNCTION watch()",
    ],
}


def watch_claims(engine: Engine) -> None:
    """Let the database itself note each claim, and what lease the event was under until then."""
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE claims ({CLAIMS})"))
        for statement in WATCH[engine.dialect.name]:
            connection.exec_driver_sql(statement)


def sized(number: int | str, account: str, size: int) -> Message:
    call = {"type": "track", "event": "Email Opened", "messageId": f"m{number}", "fill": ""}
    call["fill"] = "x" * (size - len(json.dumps(call)))
    return message(f"m{number}", account=account, payload=json.dumps(call))


def start_all(bridge: BridgeProcess, store: Store, segment: FakeSegment, count: int) -> None:
    """Each sends one event that is its alone: then it is at work."""
    store.put([sized(f"-ready-{n}", f"own-{n}", SMALL_CALL) for n in range(count)])
    for n in range(count):
        keys = f"own-{n}=key-{n},4417=key-{n},5150=key-{n}"
        bridge.start_deliverer(SEGMENT_WRITE_KEYS=keys, SEGMENT_WRITE_KEY="")
    segment.wait_for(count, seconds=60)


@pytest.mark.fault(12, "8 deliverers (small scale: 2) over one outbox")
def test_no_event_is_in_two_live_leases(
    bridge: BridgeProcess, engine: Engine, segment: FakeSegment, seen: Callable[[str], None]
) -> None:
    deliverers, rows = scaled(2, 8), scaled(2_000, 100_000)
    store = Store(engine, "segment")
    watch_claims(engine)
    start_all(bridge, store, segment, deliverers)
    segment.behave = lambda _: Reply(hang=0.02)  # so that they meet
    for start in range(0, rows, 1_000):
        store.put(
            [
                sized(n, "4417" if n % 2 else "5150", LARGE_CALL if n < rows / 10 else SMALL_CALL)
                for n in range(start, start + 1_000)
            ]
        )
    segment.wait_for(deliverers + rows, seconds=240)

    claims = table("claims", column("before"), column("before_until"), column("until"))
    still_live = claims.c.before_until > claims.c.until - LEASE
    twice = select(func.count()).where(claims.c.before.is_not(None), still_live)
    assert read(engine, twice) == [(0,)]
    assert read(engine, select(func.count()).select_from(claims)) == [(deliverers + rows,)]
    arrived = [call["messageId"] for batch in segment.batches for call in batch.calls]
    assert len(arrived) == len(set(arrived)) == deliverers + rows
    assert max(len(batch.calls) for batch in segment.batches) <= 100
    largest = max(len(batch.body) for batch in segment.batches)
    assert largest <= LARGEST_BODY
    shares = [batch.write_key for batch in segment.batches[deliverers:]]
    assert len(set(shares)) > 1
    seen(
        f"{deliverers} deliverers, {rows:,} events in {len(shares):,} batches, of which the "
        f"busiest sent {max(map(shares.count, set(shares))):,}; each arrived once, 0 claimed under "
        f"a live lease; largest body {largest:,} bytes"
    )
