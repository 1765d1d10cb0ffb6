"""Each figure over a real database, and that none of them reads the whole table."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, func, select, text

from app.database.tables import events
from app.monitoring import stats as stats
from app.monitoring.stats import Pause, Stats, take_stats
from app.outbox.quarantine import OVERHEAD
from app.outbox.store import Store
from app.outbox.traffic import newest_of
from tests.support.cost import rows_on_postgresql, steps_on_sqlite
from tests.support.whole_rows import put_whole

NOW = 1_700_000_000.0
KEYS = {"4417": "key"}


def event(number: int, state: str = "pending", account: str = "4417", **kwargs: Any) -> Any:
    return {
        "message_id": f"drip-{number}",
        "account": account,
        "state": state,
        "payload": "{}",
        "raw": b"{}",
        "received_at": NOW - 1000 + number,
        "due_at": NOW,
        "tries": 0,
        "settled_at": None if state == "pending" else NOW - 100,
        **kwargs,
    }


def keep(engine: Engine, *rows: Any) -> None:
    with engine.begin() as connection:
        put_whole(connection, rows)


def take(engine: Engine, now: float = NOW) -> Stats:
    return take_stats(engine, "segment", now, KEYS.get)


def test_an_empty_outbox_has_figures_of_nothing(engine: Engine) -> None:
    found = take(engine)
    assert set(found.states) == {"pending", "held", "sent", "dead", "quarantined", "erased"}
    assert not any(found.states.values())
    assert (found.oldest_pending, found.last_webhook, found.last_sent) == (None, None, None)
    assert (found.died_lately, found.quarantined_lately, found.pauses) == (0, 0, ())
    assert not found.oldest_is_held
    assert found.database_bytes > 4096


def test_each_event_is_counted_in_one_state(engine: Engine) -> None:
    keep(
        engine,
        *(event(number) for number in range(3)),
        event(3, account="5150"),
        event(4, account=""),
        *(event(number, "sent") for number in range(5, 9)),
        event(9, "dead"),
        *(event(number, "quarantined") for number in range(10, 12)),
        event(12, "erased"),
    )
    assert take(engine).states == {
        "pending": 3,
        "held": 2,
        "sent": 4,
        "dead": 1,
        "quarantined": 2,
        "erased": 1,
    }


@pytest.mark.parametrize(("account", "is_held"), [("4417", False), ("5150", True)])
def test_the_oldest_that_waits(engine: Engine, account: str, is_held: bool) -> None:
    settled = event(1, "sent")
    # the oldest is neither the first by id nor the first that is due
    oldest = event(3, account=account, received_at=NOW - 500, due_at=NOW + 60)
    keep(engine, settled, event(2, received_at=NOW - 400), oldest, event(4, "dead"))
    found = take(engine)
    assert (found.oldest_pending, found.oldest_is_held) == (NOW - 500, is_held)


def test_the_latest_webhook_and_the_latest_sent(engine: Engine) -> None:
    keep(
        engine,
        event(1, "sent", settled_at=NOW - 50),
        event(2, "sent", settled_at=NOW - 70),
        event(3, "dead", settled_at=NOW - 5, received_at=NOW - 10),
    )
    found = take(engine)
    assert (found.last_webhook, found.last_sent) == (NOW - 10, NOW - 50)


def test_what_failed_within_the_hour(engine: Engine) -> None:
    keep(
        engine,
        *(event(number, "dead", settled_at=NOW - 3599) for number in range(2)),
        event(2, "dead", settled_at=NOW - 3601),
        *(event(number, "quarantined", settled_at=NOW - 1) for number in range(3, 6)),
        event(6, "quarantined", settled_at=NOW - 4000),
        event(7, "sent", settled_at=NOW - 1),
    )
    found = take(engine)
    assert (found.died_lately, found.quarantined_lately) == (2, 3)


def test_how_much_is_in_quarantine(engine: Engine) -> None:
    keep(
        engine,
        event(1, "quarantined", raw=b"x" * 700_000),
        event(2, "quarantined", raw=b"x" * 3),
        event(3, "dead", raw=b"x" * 90_000),
    )
    assert take(engine).quarantine_bytes == 700_003 + 2 * OVERHEAD


def test_a_pause_lasts_until_a_minute_after_its_end(store: Store) -> None:
    store.pause_account("5150", NOW + 30, "HTTP 403")
    store.pause_account("4417", NOW - 59, "HTTP 401")
    store.pause_account("1", NOW - 61, "HTTP 401")
    assert take(store.engine).pauses == (Pause("4417", "HTTP 401"), Pause("5150", "HTTP 403"))
    assert take(store.engine, NOW + 91).pauses == ()


@contextmanager
def writing(engine: Engine) -> Iterator[None]:
    """As much as another can lock while it writes."""
    with engine.begin() as connection:  # of SQLite the write lock
        if is_postgresql(connection):
            connection.execute(text("LOCK TABLE events, pauses IN EXCLUSIVE MODE"))
        yield


def test_it_waits_for_no_writer(engine: Engine) -> None:
    keep(engine, event(1))
    with writing(engine):
        assert take(engine).states["pending"] == 1


STATEMENTS = {
    "waiting": stats.WAITING,
    "settled": stats.SETTLED,
    "oldest": stats.OLDEST,
    "quarantine": stats.QUARANTINE_BYTES,
    "last sent": stats.LAST_SENT,
    "lately": stats._settled_since(NOW - 3600),  # noqa: SLF001 - what it asks is the point
}


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def plan(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[str]:
    """Of the statement as it is sent: a value that is bound can keep an index from being used."""
    how = "EXPLAIN" if is_postgresql(connection) else "EXPLAIN QUERY PLAN"
    sent = statement.compile(connection)
    values: Any = {**sent.params, "destination": "segment"}
    values = {name: values[name] for name in sent.params}
    if sent.positiontup is not None:
        values = tuple(values[name] for name in sent.positiontup)
    return [row[-1] for row in connection.exec_driver_sql(f"{how} {sent}", values)]


def reads_all(step: str) -> bool:
    """Whether a step of a plan goes through the table rather than through an index."""
    if step.startswith("SCAN events"):
        return "USING" not in step
    return "Seq Scan on events" in step


def as_wide_as_real_ones(noise: random.Random) -> dict[str, str]:
    words = noise.randbytes(32).hex()
    email = f"{words[:12]}@example.com"
    return {"message_id": f"drip-{words}", "email": email, "collection": "Email Link Clicked"}


def test_the_newest_event_is_found_at_the_tables_end(engine: Engine) -> None:
    keep(engine, *(event(number) for number in range(2000)))
    compiled = newest_of("segment").compile(engine, compile_kwargs={"literal_binds": True})
    statement = (str(compiled), ())
    if engine.dialect.name == "sqlite":
        assert steps_on_sqlite(engine, statement) < 100
    else:
        assert rows_on_postgresql(engine, statement) <= 2


def test_no_figure_reads_the_whole_table(engine: Engine) -> None:
    noise = random.Random(1)
    states = ("sent", "sent", "sent", "sent", "pending")
    keep(
        engine,
        *(event(n, states[n % 5], **as_wide_as_real_ones(noise)) for n in range(2000)),
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if is_postgresql(connection):  # as it does by itself; an SQLite has no statistics
            connection.execute(text("VACUUM ANALYZE events"))
        everything = plan(connection, select(func.sum(events.c.tries)))
        assert any(map(reads_all, everything)), everything
        for name, statement in STATEMENTS.items():
            steps = plan(connection, statement)
            assert any("events_" in step or "PRIMARY KEY" in step for step in steps), (name, steps)
            assert not any(map(reads_all, steps)), (name, steps)
