"""All that a search finds is retried or dismissed: no more, no less, and each once."""

from typing import Any

import pytest
from sqlalchemy import update

from app.database.tables import events
from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.translate import translate
from app.outbox import bulk as bulk_module
from app.outbox.bulk import Bulk
from app.outbox.messages import Attempt
from app.outbox.requeue import Requeue, is_retriable
from app.outbox.search import Search, Wanted
from app.outbox.store import Store
from tests.support.builders import (
    NOW,
    claim,
    mark_dead,
    mark_sent,
    message,
    messages,
    no_wait,
    reschedule,
    rows,
    search_over,
)
from tests.support.cost import rows_on_postgresql, statements_of, steps_on_sqlite
from tests.support.samples import OPENED

LATER = NOW + 100


@pytest.fixture
def search(store: Store) -> Search:
    return search_over(store.engine)


@pytest.fixture
def bulk(store: Store, search: Search) -> Bulk:
    return Bulk(search, {"segment": Requeue(store.engine, "segment", translate)})


def bury(store: Store, name: str, reason: str = "HTTP 400", **fields: Any) -> None:
    store.put([message(name, **fields)])
    account = fields.get("account", "4417")
    mark_dead(store, claim(store, account, now=LATER), Attempt(NOW, reason))


def reject(store: Store, name: str, raw: bytes = b"not json") -> None:
    errors = {"body": ["Not JSON."]}
    store.put([message(name, account="", payload=None, raw=raw, errors=errors)])


def states(store: Store) -> dict[str, str]:
    return {name: row.state for name, row in rows(store).items()}


def fill(store: Store) -> None:
    """One in each state that a retry changes, and in each that it leaves alone."""
    store.put([message("sent")])
    mark_sent(store, claim(store), NOW)
    bury(store, "dead")
    store.put([message("expired")])
    with store.engine.begin() as connection:
        is_this = events.c.message_id == "expired"
        values = {"state": "expired", "settled_at": NOW}
        connection.execute(update(events).where(is_this).values(values))
    reject(store, "rejected")
    store.put([message("failed before")])
    lease = claim(store)
    reschedule(store, lease, {lease.messages[0].id: LATER + 900}, Attempt(NOW, "HTTP 500"))
    store.put([message("waits")])


def test_all_is_retried_that_an_operator_or_time_would_retry(store: Store, bulk: Bulk) -> None:
    fill(store)
    before = rows(store)
    wanted = Wanted(account=None)
    assert bulk.count_retriable(wanted, LATER) == (4, True)
    assert bulk.retry(wanted, LATER, no_wait) == {"requeued": 3, "unreadable": 1}
    after = rows(store)
    for name in ("dead", "expired", "failed before"):
        assert (after[name].state, after[name].due_at) == ("pending", LATER)
    for name in ("sent", "waits"):
        assert after[name] == before[name]
    assert after["rejected"].state == "quarantined"


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(state="dead"), {"a", "b", "c"}),
        (Wanted(state="quarantined"), {"raw"}),
        (Wanted(reason_part="400"), {"a", "b"}),
        (Wanted(reason_part="http 4"), {"a", "b", "c"}),
        (Wanted(reason="HTTP 413"), {"c"}),
        (Wanted(account="5150"), {"b"}),
        (Wanted(collection="Email Bounced"), {"b"}),
        (Wanted(email="BO@example.com"), {"c"}),
        (Wanted(since=NOW + 5), {"c"}),
        (Wanted(until=NOW + 5), {"a", "b", "raw"}),
        (Wanted(message_ids=("a", "c", "nobody")), {"a", "c"}),
        (Wanted(destination="drip"), set()),
    ],
)
def test_each_choice_narrows(store: Store, bulk: Bulk, wanted: Wanted, found: set[str]) -> None:
    bury(store, "a")
    bury(store, "b", account="5150", collection="Email Bounced")
    bury(store, "c", "HTTP 413", email="bo@example.com", received_at=NOW + 9)
    reject(store, "raw")
    assert bulk.count_dismissible(wanted) == (len(found), True)
    assert bulk.dismiss(wanted, LATER, no_wait) == len(found)
    assert {name for name, row in rows(store).items() if row.dismissed_at} == found


def test_words_are_looked_for_in_payloads(store: Store, bulk: Bulk) -> None:
    bury(store, "a", payload='{"userId":"u-81"}')
    bury(store, "b", payload='{"userId":"u-82"}')
    assert bulk.retry(Wanted(words="U-81"), LATER, no_wait) == {"requeued": 1}
    assert states(store) == {"a": "pending", "b": "dead"}


def test_dismissed_ones_are_left_alone_unless_asked_for(store: Store, bulk: Bulk) -> None:
    bury(store, "a")
    bury(store, "b")
    bulk.dismiss(Wanted(message_ids=("a",)), NOW, no_wait)
    for wanted in (Wanted(state="dead"), Wanted(account="4417")):
        assert bulk.count_retriable(wanted, LATER) == (1, True)
    assert bulk.retry(Wanted(account="4417"), LATER, no_wait) == {"requeued": 1}
    assert states(store) == {"a": "dead", "b": "pending"}
    assert bulk.count_dismissible(Wanted(state="dismissed")) == (0, True)
    assert bulk.retry(Wanted(state="dismissed"), LATER, no_wait) == {"requeued": 1}
    assert rows(store)["a"].dismissed_at is None


def test_they_go_in_steps_until_none_is_left(
    store: Store, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 10)
    monkeypatch.setattr("app.outbox.search.MOST_IDS", 25)
    store.put(messages(72))
    mark_dead(store, claim(store), Attempt(NOW, "HTTP 400"))
    pauses: list[float] = []
    assert bulk.retry(Wanted(state="dead"), LATER, pauses.append) == {"requeued": 72}
    assert len(pauses) == 9  # 10, 10 and 5 three times, but the last has 2 instead of 5
    assert set(states(store).values()) == {"pending"}


def test_a_wait_can_end_it(store: Store, bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 10)
    store.put(messages(30))
    mark_dead(store, claim(store), Attempt(NOW, "HTTP 400"))
    assert bulk.dismiss(Wanted(state="dead"), LATER, lambda _: True) == 10


def test_what_fails_again_meanwhile_is_not_retried_twice(
    store: Store, bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk_module, "STEP", 1)
    for name in ("a", "b", "c"):
        bury(store, name)

    def fail_again(_: float) -> None:
        mark_dead(store, claim(store, now=LATER), Attempt(LATER, "HTTP 400"))

    assert bulk.retry(Wanted(state="dead"), LATER, fail_again) == {"requeued": 3}
    assert states(store) == {"a": "dead", "b": "dead", "c": "dead"}


def test_what_was_rejected_is_read_once_although_it_gets_another_id(
    store: Store, bulk: Bulk
) -> None:
    reject(store, "raw", OPENED)
    assert bulk.retry(Wanted(state="quarantined"), LATER, no_wait) == {"requeued": 1}
    assert bulk.retry(Wanted(since=NOW), LATER, no_wait) == {}


def test_those_that_may_count_twice_are_counted(store: Store, bulk: Bulk) -> None:
    to = SegmentDestination("http://127.0.0.1:9", None, {})
    bury(store, "old")
    bury(store, "fresh", received_at=NOW + 90)
    reject(store, "raw")
    now = NOW + to.dedupe_window + 60
    assert bulk.count_repeatable(Wanted(state="dead"), to, now) == 1
    assert bulk.count_repeatable(Wanted(state="quarantined"), to, now) == 0
    assert bulk.count_repeatable(Wanted(message_ids=("fresh",)), to, now) == 0
    assert bulk.count_repeatable(Wanted(since=NOW), to, now + 60) == 2


def test_a_step_reads_no_more_of_the_table_than_it_changes(store: Store, search: Search) -> None:
    """Whether an index leads to the matches, or each window of ids is read."""
    store.put(messages(3_000))
    mark_sent(store, claim(store, most_events=2_900), NOW)
    mark_dead(store, claim(store), Attempt(NOW, "HTTP 400"))
    if store.engine.dialect.name == "postgresql":
        with store.engine.begin() as connection:
            connection.exec_driver_sql("ANALYZE events")
    requeue = Requeue(store.engine, "segment", translate)

    def act(_: Store, __: Any) -> None:
        (found,) = search.ids(Wanted(state="dead"), is_retriable(LATER))
        requeue.some([id_ for id_, _ in found[:50]], LATER)

    for statement in statements_of(store, act, claim(store)):
        if store.engine.dialect.name == "sqlite":
            assert steps_on_sqlite(store.engine, statement) < 100 * 100, statement
        else:
            assert rows_on_postgresql(store.engine, statement) <= 250, statement
