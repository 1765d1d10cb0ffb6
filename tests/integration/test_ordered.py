"""Of each person the oldest message comes first, and holds back only that person's."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import Engine, event, update

from app.database.tables import events
from app.outbox.messages import Attempt, Claimed, Failed, Released, Sent
from app.outbox.ordered import OrderedStore
from tests.support.builders import ACCOUNT, NOW, message
from tests.support.cost import rows_on_postgresql, steps_on_sqlite


@pytest.fixture
def ordered(engine: Engine) -> OrderedStore:
    return OrderedStore(engine, "drip")


def put(store: OrderedStore, *names: str) -> None:
    """Messages such as "ana-1", of the person before the hyphen."""
    store.put([message(name, person=f"e:{name.split('-')[0]}") for name in names])


def names(messages: Sequence[Claimed]) -> list[str]:
    return [message.message_id for message in messages]


def heads(store: OrderedStore, now: float = NOW, most: int = 100) -> list[str]:
    return names(store.heads(ACCOUNT, now, most))


def lease_of(store: OrderedStore, name: str, now: float = NOW) -> list[Claimed]:
    return [each for each in store.heads(ACCOUNT, now, 100) if each.message_id == name]


def test_of_each_person_the_first_is_next(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "bo-1", "ana-2", "cy-1", "bo-2")
    assert heads(ordered) == ["ana-1", "bo-1", "cy-1"]
    assert heads(ordered, most=2) == ["ana-1", "bo-1"]
    lease = ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    assert heads(ordered) == ["bo-1", "cy-1"]
    ordered.settle(lease, Sent(NOW))
    assert heads(ordered) == ["bo-1", "ana-2", "cy-1"]  # by age


def test_a_message_that_waits_holds_back_its_person_only(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "ana-2", "bo-1")
    lease = ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    attempt = Attempt(NOW, "HTTP 503")
    ordered.settle(lease, Failed(attempt, {lease.messages[0].id: NOW + 500}))
    assert heads(ordered, NOW + 499) == ["bo-1"]
    assert heads(ordered, NOW + 500) == ["bo-1", "ana-1"]


def test_a_dead_message_lets_the_next_go(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "ana-2")
    lease = ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    ordered.settle(lease, Failed(Attempt(NOW, "HTTP 422"), {}))
    assert heads(ordered) == ["ana-2"]


def test_a_process_that_dies_keeps_its_person_until_its_lease_ends(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "ana-2")
    ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    assert heads(ordered, NOW + 29) == []
    assert heads(ordered, NOW + 30) == ["ana-1"]


def test_followers_are_in_order_up_to_the_first_that_is_not_due(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "bo-1", "ana-2", "ana-3", "bo-2")
    with ordered.engine.begin() as connection:
        later = update(events).where(events.c.message_id == "ana-2").values(due_at=NOW + 5)
        connection.execute(later)
    followers = ordered.followers(ACCOUNT, NOW, ["e:ana", "e:bo"], 100)
    assert names(followers) == ["ana-1", "bo-1", "bo-2"]
    followers = ordered.followers(ACCOUNT, NOW + 5, ["e:ana"], 100)
    assert names(followers) == ["ana-1", "ana-2", "ana-3"]


def test_people_that_are_busy_wait(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "bo-1", "ana-2")
    lease = ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    ordered.delay(ACCOUNT, ["e:ana"], NOW + 600)
    ordered.settle(lease, Sent(NOW))
    assert heads(ordered, NOW + 599) == ["bo-1"]
    assert heads(ordered, NOW + 600) == ["bo-1", "ana-2"]


def test_one_person_in_two_accounts_is_two(ordered: OrderedStore) -> None:
    put(ordered, "ana-1")
    ordered.put([message("ana-2", person="e:ana", account="5150")])
    assert heads(ordered) == ["ana-1"]
    assert names(ordered.heads("5150", NOW, 100)) == ["ana-2"]


def test_nothing_is_next_before_it_is_known_whose_it_is(ordered: OrderedStore) -> None:
    ordered.put([message("new", person="")])
    assert heads(ordered) == []
    assert ordered.count_due(ACCOUNT, NOW, 100) == 0
    assert ordered.oldest_due(ACCOUNT, NOW) is None
    assert ordered.due_accounts(NOW) == [ACCOUNT]


def test_what_is_due_is_counted_up_to_a_limit(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "ana-2", "bo-1")
    ordered.put([message("cy-1", person="e:cy", received_at=NOW - 7)])
    assert ordered.count_due(ACCOUNT, NOW, 100) == 4
    assert ordered.count_due(ACCOUNT, NOW, 2) == 2
    assert ordered.oldest_due(ACCOUNT, NOW) == NOW - 7


def test_only_what_still_waits_is_leased(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "bo-1")
    both = ordered.heads(ACCOUNT, NOW, 100)
    ordered.settle(ordered.lease(both[:1], NOW, NOW + 30), Sent(NOW))
    assert ordered.lease(both, NOW, NOW + 30).messages == ()
    assert names(ordered.lease(both[1:], NOW, NOW + 30).messages) == ["bo-1"]


def test_what_another_process_has_leased_is_not_leased_again(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "bo-1")
    both = lease_of(ordered, "ana-1") + lease_of(ordered, "bo-1")
    first = ordered.lease(both[:1], NOW, NOW + 30)
    assert ordered.lease(both, NOW, NOW + 30).messages == ()
    assert ordered.settle(first, Sent(NOW)).total() == 1
    assert heads(ordered) == ["bo-1"]


def test_a_released_message_keeps_its_place(ordered: OrderedStore) -> None:
    put(ordered, "ana-1", "ana-2")
    lease = ordered.lease(lease_of(ordered, "ana-1"), NOW, NOW + 30)
    ordered.settle(lease, Released(NOW))
    assert heads(ordered) == ["ana-1"]


def test_finding_who_is_next_reads_few_rows(ordered: OrderedStore) -> None:
    put(ordered, *(f"person{n}-1" for n in range(2_000)))
    put(ordered, *(f"person{n}-2" for n in range(2_000)))
    seen: list[tuple[str, Any]] = []

    def see(_: Any, __: Any, sql: str, values: Any, *___: Any) -> None:
        seen.append((sql, values))

    event.listen(ordered.engine, "before_cursor_execute", see)
    assert len(ordered.heads(ACCOUNT, NOW, 500)) == 500
    event.remove(ordered.engine, "before_cursor_execute", see)
    (statement,) = [each for each in seen if "same" in each[0]]
    if ordered.engine.dialect.name == "sqlite":
        assert steps_on_sqlite(ordered.engine, statement) < 50_000
    else:
        assert rows_on_postgresql(ordered.engine, statement) < 10_000
