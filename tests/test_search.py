"""What an operator looks for is found, newest first, without going through all that is kept."""

from typing import Any

import pytest
from sqlalchemy import event, insert

from app.outbox.search import PAGE, WINDOW, Event, Search, State, Wanted
from app.outbox.store import Store
from app.outbox.tables import events
from tests.test_store import ACCOUNT, NOW, arrival, claim, rows_on_postgresql, steps_on_sqlite

KEYS = {ACCOUNT: "a-key"}


@pytest.fixture
def search(store: Store) -> Search:
    return Search(store.engine, KEYS.get)


def found(search: Search, limit: int = 50, **wanted: Any) -> list[str]:
    return [event.message_id for event in search.find(Wanted(**wanted), limit)]


def fill(store: Store) -> None:
    """One event in each state."""
    store.put([arrival("sent")])
    store.mark_sent(claim(store), NOW)
    store.put([arrival("dead")])
    store.bury(claim(store), NOW, "no")
    store.put([arrival("quarantined", account="", payload=None, error="{}")])
    store.put([arrival("pending"), arrival("held", account="5150")])


@pytest.mark.parametrize("state", ["pending", "held", "sent", "dead", "quarantined"])
def test_each_state_is_found_alone(store: Store, search: Search, state: State) -> None:
    fill(store)
    (event,) = search.find(Wanted(state=state), 50)
    assert (event.message_id, event.state) == (state, state)


def test_all_are_found_newest_first_up_to_the_limit(store: Store, search: Search) -> None:
    fill(store)
    assert found(search) == ["held", "pending", "quarantined", "dead", "sent"]
    assert found(search, limit=2) == ["held", "pending"]
    assert [event.state for event in search.find(Wanted(), 50)] == found(search)


def test_with_a_key_for_all_nothing_is_held(store: Store) -> None:
    fill(store)
    search = Search(store.engine, lambda _: "a-key")
    assert found(search, state="held") == []
    assert found(search, state="pending") == ["held", "pending"]


def test_each_wish_narrows(store: Store, search: Search) -> None:
    store.put([arrival("other")])
    store.put(
        [
            arrival(
                "a",
                account="77",
                collection="Email Opened",
                email="Ana@Example.com",
                received_at=NOW + 9,
            )
        ]
    )
    for wanted in (
        {"collection": "Email Opened"},
        {"email": " ANA@example.com"},
        {"account": "77"},
        {"since": NOW + 9},
        {"collection": "Email Opened", "email": "ana@example.com", "state": "held"},
    ):
        assert found(search, **wanted) == ["a"]
    assert found(search, email="ana@example.com", state="sent") == []


def test_one_is_found_whole_or_not_at_all(store: Store, search: Search) -> None:
    raw = bytes(range(256))
    store.put([arrival("a", raw=raw, email="ana@example.com", collection="Email Opened")])
    assert search.one("a") == Event(
        id=1,
        message_id="a",
        account=ACCOUNT,
        state="pending",
        collection="Email Opened",
        email="ana@example.com",
        received_at=NOW,
        due_at=NOW,
        settled_at=None,
        tries=0,
        lease=None,
        error=None,
        payload='{"type":"track"}',
        raw=raw,
    )
    assert search.one("b") is None


def test_an_empty_outbox_has_nothing(search: Search) -> None:
    assert found(search) == []


@pytest.mark.parametrize("state", [None, "pending"])
def test_pages_follow_one_another(store: Store, search: Search, state: State | None) -> None:
    names = [f"m{n}" for n in range(2 * PAGE + 5)]
    store.put([arrival(name) for name in names])
    assert found(search, limit=1_000, state=state) == names[::-1]

    first = list(search.find(Wanted(state=state), PAGE + 1))
    rest = search.find(Wanted(state=state), 1_000, before=first[-1].id)
    assert [event.message_id for event in [*first, *rest]] == names[::-1]


def put_many(store: Store, count: int) -> None:
    """Sent events, all but three: one of the first is another account's, one is dead, one waits."""
    row: dict[str, Any] = {
        "account": ACCOUNT,
        "state": "sent",
        "payload_bytes": 0,
        "raw": b"x" * 500,
        "received_at": NOW,
        "due_at": NOW,
        "tries": 1,
        "settled_at": NOW,
    }
    few: dict[int, dict[str, Any]] = {
        3: {"account": "far"},
        4: {"state": "dead"},
        5: {"state": "pending", "settled_at": None},
        6: {"email": "ana@example.com"},
    }
    with store.engine.begin() as connection:
        connection.execute(
            insert(events),
            [{"email": None, **row, "message_id": f"m{n}", **few.get(n, {})} for n in range(count)],
        )


def test_no_query_goes_through_more_than_a_window(store: Store, search: Search) -> None:
    put_many(store, 2 * WINDOW + 100)
    seen: list[tuple[str, Any]] = []
    event.listen(
        store.engine, "before_cursor_execute", lambda *found: seen.append((found[2], found[3]))
    )
    wishes: dict[str, dict[str, Any]] = {
        "m3": {"account": "far"},
        "m4": {"state": "dead"},
        "m5": {"state": "pending"},
        "m6": {"email": "ana@example.com"},
    }
    for name, wanted in wishes.items():
        seen.clear()
        assert found(search, **wanted) == [name]
        most = WINDOW + 50 if name == "m3" else 50
        for statement in [statement for statement in seen if "received_at" in statement[0]]:
            if store.engine.dialect.name == "sqlite":
                assert steps_on_sqlite(store.engine, statement) < most * 30, statement
            else:
                assert rows_on_postgresql(store.engine, statement) <= most, statement


def test_nothing_is_held_open_while_events_are_looked_at(store: Store, search: Search) -> None:
    store.put([arrival(f"m{n}") for n in range(PAGE + 1)])
    looking = search.find(Wanted(), 100)
    next(looking)
    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    store.put([arrival("later")])
    assert "later" not in [event.message_id for event in looking]
