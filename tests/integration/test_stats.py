"""Each figure over a real database, and that none of them reads the whole table."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Select, func, select, text
from sqlalchemy.event import listen, remove

from app.database.engine import reader
from app.database.tables import events, traffic
from app.monitoring import stats as stats
from app.monitoring.stats import Issue, Stats, Waiting, take_stats
from app.outbox import latest
from app.outbox.answers import Answers, Kind, fingerprint
from app.outbox.quarantine import OVERHEAD
from tests.support.cost import rows_on_postgresql, steps_on_sqlite
from tests.support.whole_rows import put_whole

NOW = 1_700_000_000.0
KEYS = {"4417": "key", "4418": "key", "4419": "another-key"}
NONE_OF_ANY = dict.fromkeys(
    ("pending", "held", "sent", "dead", "quarantined", "erased", "dismissed"), 0
)


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
    assert found.states.keys() == NONE_OF_ANY.keys()
    assert not any(found.states.values())
    assert (found.oldest(), found.last_webhook, found.last_sent) == (None, None, None)
    assert (found.died_lately, found.quarantined_lately) == (0, 0)
    assert (found.waiting, found.issues, found.answers, found.deliverers) == ((), (), {}, ())
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
    assert take(engine).states == NONE_OF_ANY | {
        "pending": 3,
        "held": 2,
        "sent": 4,
        "dead": 1,
        "quarantined": 2,
        "erased": 1,
    }


def test_what_was_dismissed_is_counted_apart_and_is_no_issue(engine: Engine) -> None:
    keep(
        engine,
        event(1, "dead", reason="HTTP 400", dismissed_at=NOW),
        event(2, "dead", reason="HTTP 400", dismissed_at=None),
        *(event(n, "quarantined", reason="no", dismissed_at=NOW) for n in range(3, 5)),
    )
    found = take(engine)
    assert found.states == NONE_OF_ANY | {"dead": 1, "dismissed": 3}
    assert [(issue.state, issue.count) for issue in found.issues] == [("dead", 1)]


def test_what_failed_is_grouped_by_reason_the_latest_first(engine: Engine) -> None:
    ids = {"reason": "HTTP 400: too long"}
    keep(
        engine,
        event(1, "dead", settled_at=NOW - 7200, **ids),
        event(2, "dead", settled_at=NOW - 300, **ids),
        event(3, "quarantined", settled_at=NOW - 100, reason="body: Not JSON."),
        event(4, "dead", settled_at=NOW - 200, reason="HTTP 422"),
        event(5, "sent", reason=None),
    )
    found = [
        (issue.state, issue.reason, issue.count, issue.first_at, issue.last_at)
        for issue in take(engine).issues
    ]
    assert found == [
        ("quarantined", "body: Not JSON.", 1, NOW - 100, NOW - 100),
        ("dead", "HTTP 422", 1, NOW - 200, NOW - 200),
        ("dead", "HTTP 400: too long", 2, NOW - 7200, NOW - 300),
    ]


def test_an_issue_has_a_key_of_its_own() -> None:
    issues = [
        Issue(to, state, reason, 1, NOW, NOW, 1)
        for to in ("segment", "drip")
        for state in ("dead", "quarantined")
        for reason in ("HTTP 400", "HTTP 422")
    ]
    assert len({issue.key for issue in issues}) == len(issues)
    assert issues[0].key == Issue("segment", "dead", "HTTP 400", 9, NOW + 9, NOW + 9, 9).key


@pytest.mark.parametrize(
    ("kind", "cause"),
    [
        (None, "queued"),
        ("taken", "queued"),
        ("failing", "retrying"),
        ("refused", "paused"),
        ("unreachable", "paused"),
        ("limited", "limited"),
    ],
)
def test_what_waits_is_counted_by_account_with_its_cause(
    engine: Engine, kind: Kind | None, cause: str
) -> None:
    if kind:
        Answers(engine, "segment").note("key", kind, "reason", NOW - 40, NOW + 60, 1)
    keep(
        engine,
        event(1, "sent"),
        event(2, received_at=NOW - 400, due_at=NOW + 5),
        # the oldest is neither the first by id nor the first that is due
        event(3, received_at=NOW - 500, due_at=NOW + 60),
        event(4, account="4418", received_at=NOW - 300),
        event(5, account="4419", received_at=NOW - 200),
        event(6, account="5150", received_at=NOW - 900),
        event(7, "dead"),
    )
    found = take(engine)
    answer = found.answers[fingerprint("key")] if kind else None
    expected = Waiting("4417", cause, 2, NOW - 500, NOW + 5, answer)  # type: ignore[arg-type]
    assert found.waiting[0] == expected
    causes = {each.account: each.cause for each in found.waiting}
    assert causes == {"4417": cause, "4418": cause, "4419": "queued", "5150": "held"}
    assert found.oldest() == found.oldest("held") == NOW - 900
    assert (found.oldest(found.waiting[0].cause), found.count("held")) == (NOW - 500, 1)
    assert found.oldest("queued", "retrying", "paused", "limited") == NOW - 500


def test_an_answer_to_another_destination_is_not_ours(engine: Engine) -> None:
    Answers(engine, "drip").note("key", "refused", "HTTP 401", NOW, NOW, 1)
    keep(engine, event(1))
    found = take(engine)
    assert (found.answers, found.waiting[0].cause) == ({}, "queued")


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


@contextmanager
def writing(engine: Engine) -> Iterator[None]:
    """As much as another can lock while it writes."""
    with engine.begin() as connection:  # of SQLite the write lock
        if is_postgresql(connection):
            connection.execute(text("LOCK TABLE events, answers IN EXCLUSIVE MODE"))
        yield


def test_it_waits_for_no_writer(engine: Engine) -> None:
    keep(engine, event(1))
    with writing(engine):
        assert take(engine).states["pending"] == 1


STATEMENTS = {
    "waiting": stats.WAITING,
    "settled": stats.SETTLED,
    "first due": stats.FIRST_DUE,
    "issues": stats.ISSUES,
    "dismissed": stats.DISMISSED,
    "quarantine": stats.QUARANTINE_BYTES,
    "lately": stats._settled_since(NOW - 3600),  # noqa: SLF001 - what it asks is the point
}


def is_postgresql(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def plan(connection: Connection, statement: Select[*tuple[Any, ...]]) -> list[str]:
    """Of the statement as it is sent: a value that is bound can keep an index from being used."""
    how = "EXPLAIN" if is_postgresql(connection) else "EXPLAIN QUERY PLAN"
    sent = statement.compile(connection)
    values: Any = {**sent.params, "destination": "segment", "account": "4417"}
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


def test_the_latest_of_a_destination_costs_no_more_the_more_there_is_of_another(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latest, "LOOKED_AT", 50)
    keep(engine, *(event(number, "sent") for number in range(2000)))
    with engine.begin() as connection:
        connection.execute(
            traffic.insert(),
            {"destination": "drip", "minute": 6000, "collection": "track"}
            | {"received": 1, "sent": 1, "retried": 0, "failed": 0},
        )
    if engine.dialect.name == "postgresql":  # as it does by itself
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE events"))
    statements: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
        statements.append((sql, values))

    listen(engine, "before_cursor_execute", note)
    with reader(engine) as connection:
        assert latest.last_received(connection, "drip") == 6000
        assert latest.last_sent(connection, "drip") == 6000
        assert latest.last_received(connection, "nowhere") is None
    remove(engine, "before_cursor_execute", note)
    for statement in statements:
        if engine.dialect.name == "sqlite":
            assert steps_on_sqlite(engine, statement) < 50 * 30
        else:
            assert rows_on_postgresql(engine, statement) <= 110


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
