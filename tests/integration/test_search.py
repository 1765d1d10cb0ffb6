"""What an operator looks for is found, newest first, without going through all that is kept."""

import json
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import event, update

from app.database.tables import events
from app.drip_to_segment.description import describe
from app.outbox.messages import Attempt
from app.outbox.search import (
    MOST_WORDS,
    PAGE,
    WINDOW,
    WORDS_WINDOW,
    Counts,
    Event,
    Page,
    Search,
    Searched,
    State,
    Wanted,
)
from app.outbox.store import Store
from tests.support.builders import (
    ACCOUNT,
    NOW,
    claim,
    mark_dead,
    mark_sent,
    message,
    rows,
    search_over,
)
from tests.support.cost import rows_on_postgresql, steps_on_sqlite
from tests.support.whole_rows import put_whole

KEYS = {ACCOUNT: "a-key"}


@pytest.fixture
def search(store: Store) -> Search:
    return search_over(store.engine, KEYS.get)


def found(search: Search, limit: int = 50, **wanted: Any) -> list[str]:
    return [event.message_id for event in search.find(Wanted(**wanted), limit)]


def fill(store: Store) -> None:
    """One event in each state."""
    store.put([message("sent")])
    mark_sent(store, claim(store), NOW)
    store.put([message("dead")])
    mark_dead(store, claim(store), Attempt(NOW, "no", ""))
    store.put([message("quarantined", account="", payload=None, errors={"body": []})])
    store.put([message("pending"), message("held", account="5150")])


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


def test_nothing_is_held_with_a_key_for_all(store: Store) -> None:
    fill(store)
    search = search_over(store.engine)
    assert found(search, state="held") == []
    assert found(search, state="pending") == ["held", "pending"]


def test_each_wish_narrows(store: Store, search: Search) -> None:
    store.put([message("other")])
    store.put(
        [
            message(
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


def put_dead(store: Store, name: str, reason: str) -> None:
    store.put([message(name)])
    mark_dead(store, claim(store), Attempt(NOW, reason))


def test_a_reason_is_found_whole_or_by_a_part(store: Store, search: Search) -> None:
    for name, reason in {"a": "HTTP 400", "b": "HTTP 413", "c": "50% off_"}.items():
        put_dead(store, name, reason)
    assert found(search, reason="HTTP 400") == ["a"]
    assert found(search, reason="HTTP") == []
    assert found(search, reason_part="http 4") == ["b", "a"]
    assert found(search, reason_part="13", state="dead") == ["b"]
    assert found(search, reason_part="_") == ["c"]
    assert found(search, reason_part="http", state="sent") == []


def test_dismissed_ones_have_a_choice_of_their_own(store: Store, search: Search) -> None:
    put_dead(store, "put aside", "HTTP 400")
    fill(store)
    with store.engine.begin() as connection:
        is_this = events.c.message_id == "put aside"
        connection.execute(update(events).where(is_this).values(dismissed_at=NOW))
    assert found(search, state="dismissed") == ["put aside"]
    assert found(search, state="dead") == ["dead"]
    assert found(search, state="dismissed", reason_part="413") == []
    assert "put aside" in found(search)
    (event,) = search.find(Wanted(state="dismissed"), 50)
    assert (event.state, event.dismissed_at) == ("dead", NOW)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(state="dead"),
        Wanted(words="u-81"),
        Wanted(message_ids=tuple(f"m{n}" for n in range(60))),
    ],
)
def test_all_ids_come_once_oldest_first(
    store: Store, search: Search, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an index, by windows of ids, and by words."""
    monkeypatch.setattr("app.outbox.search.MOST_IDS", 25)
    monkeypatch.setattr("app.outbox.search.WINDOW", 20)
    store.put([message(f"m{n}", payload='{"userId":"u-81"}') for n in range(60)])
    mark_dead(store, claim(store), Attempt(NOW, "HTTP 400"))
    steps = list(search.ids(wanted))
    assert len(steps) > 1
    ids = [row.id for row in rows(store).values()]
    assert [each for step in steps for each in step] == [(id_, "segment") for id_ in ids]
    assert len(next(search.ids(wanted, events.c.id < ids[7]))) == 7


def test_one_is_found_whole_or_not_at_all(store: Store, search: Search) -> None:
    raw = bytes(range(256))
    store.put([message("a", raw=raw, email="ana@example.com", collection="Email Opened")])
    assert search.one("a") == Event(
        id=1,
        destination="segment",
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
        reason=None,
        dismissed_at=None,
        payload='{"type":"track"}',
        raw=raw,
        history=None,
    )
    assert search.one("b") is None


def test_an_empty_outbox_has_nothing(search: Search) -> None:
    assert found(search) == []


@pytest.mark.parametrize("state", [None, "pending"])
def test_pages_follow_one_another(store: Store, search: Search, state: State | None) -> None:
    names = [f"m{n}" for n in range(2 * PAGE + 5)]
    store.put([message(name) for name in names])
    assert found(search, limit=1_000, state=state) == names[::-1]

    first = list(search.find(Wanted(state=state), PAGE + 1))
    rest = search.find(Wanted(state=state), 1_000, before=first[-1].id)
    assert [event.message_id for event in [*first, *rest]] == names[::-1]


FEW: dict[int, dict[str, Any]] = {
    3: {"account": "far"},
    4: {"state": "dead"},
    5: {"state": "pending", "settled_at": None},
    6: {"email": "ana@example.com"},
}


def put_many(store: Store, count: int, few: Mapping[int, dict[str, Any]] = FEW) -> None:
    """Sent events, all but three: one of the first is another account's, one is dead, one waits."""
    row: dict[str, Any] = {
        "destination": store.destination,
        "account": ACCOUNT,
        "state": "sent",
        "raw": b"x" * 500,
        "received_at": NOW,
        "due_at": NOW,
        "tries": 1,
        "settled_at": NOW,
    }
    with store.engine.begin() as connection:
        put_whole(
            connection,
            [{"email": None, **row, "message_id": f"m{n}", **few.get(n, {})} for n in range(count)],
        )


@pytest.mark.parametrize("destinations", [["segment"], ["segment", "drip"]], ids=["one", "two"])
def test_no_query_goes_through_more_than_a_window(store: Store, destinations: list[str]) -> None:
    directions = [Searched(name, KEYS.get, describe) for name in destinations]
    search = Search(store.engine, directions)
    put_many(store, 2 * WINDOW + 100)
    if len(destinations) > 1:
        put_many(Store(store.engine, "drip"), WINDOW, {})
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
    store.put([message(f"m{n}") for n in range(PAGE + 1)])
    looking = search.find(Wanted(), 100)
    next(looking)
    assert store.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    store.put([message("later")])
    assert "later" not in [event.message_id for event in looking]


def call(subject: object = None, user_id: str | None = None) -> str:
    return json.dumps({"userId": user_id, "properties": {"email_subject": subject, "other": "x"}})


SUBJECTS = [
    "Hola, Ana",
    "¡Año NUEVO! 100 %",
    'a "quote"',
    "b\\c_d",
    "\u0000 nul",
    "🎉 party",
    17,
    None,
]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("hola", [0]),
        ("a", [0, 1, 2, 5]),
        ("año nuevo", [1]),
        ("AÑO", [1]),
        ("AXO", []),
        ("100 %", [1]),
        ("nuevo! 100", [1]),
        ("100_%", []),
        ('"quote"', [2]),
        ("\\c_d", [3]),
        ("cXd", []),
        ("\u0000", [4]),
        ("🎉 P", [5]),
        ("17", [6]),
        ("x", list(range(8))),
        ("email_subject", []),
    ],
)
def test_words_of_any_value_are_found_in_any_case(
    store: Store, search: Search, words: str, expected: list[int]
) -> None:
    store.put([message(str(n), payload=call(subject)) for n, subject in enumerate(SUBJECTS)])
    store.put([message("raw", payload=None)])
    page = search.page(Wanted(words=words), 50)
    assert sorted(int(event.message_id) for event in page.events) == expected
    assert (page.older, page.searched_back_to) == (None, None)
    assert search.counts(Wanted(words=words)).states.get("pending", 0) == len(expected)


def test_a_part_of_a_user_id_is_found(store: Store, search: Search) -> None:
    for name, user_id in {"a": "u-1", "b": "u-12", "c": None, "d": "ü_%"}.items():
        store.put([message(name, payload=call("Hola", user_id))])
    assert found(search, words="u-1") == ["b", "a"]
    assert found(search, words="Ü_%") == ["d"]


def test_an_address_is_found_by_its_beginning(store: Store, search: Search) -> None:
    addresses = ["Xenia.Ines8@Example.com", "xenia@example.com", "ax@example.com", "x_%@b.example"]
    store.put([message(email, email=email) for email in (*addresses, f"é{'x' * 300}")])
    store.put([message("nobody")])
    assert found(search, email_prefix="XENIA") == addresses[1::-1]
    assert found(search, email_prefix="xenia.ines8") == addresses[:1]
    assert found(search, email_prefix="x_") == addresses[3:]
    assert found(search, email_prefix="ü") == []


def test_a_part_of_an_address_is_found(store: Store, search: Search) -> None:
    store.put([message("a", email="ana@gmail.com"), message("b", email="ana@gmx.com")])
    assert found(search, email_part="@Gmail.com") == ["a"]
    assert found(search, email_part="@g%.com") == []


def test_a_message_id_is_found_by_its_beginning(store: Store, search: Search) -> None:
    ids = [f"drip-{number:064x}" for number in (0, 0xF << 240, 0xFF << 240)]
    store.put([message(name) for name in ids])
    assert found(search, id_prefix="drip-000f") == ids[1:2]
    assert found(search, id_prefix="drip-0") == ids[::-1]


def test_a_common_beginning_is_searched_for_in_the_order_of_ids(
    store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.search_range.RARE", 3)
    monkeypatch.setattr("app.outbox.search.WINDOW", 2)
    monkeypatch.setattr("app.outbox.search.PATIENCE", 4)
    store.put([message(str(n), email=f"info@{n}.example") for n in range(10)])
    assert search.page(Wanted(email_prefix="info@"), 50).searched_back_to is not None
    assert search.page(Wanted(email_prefix="info@7"), 50).searched_back_to is None
    assert search.page(Wanted(state="waiting"), 50).searched_back_to is not None
    assert search.page(Wanted(state="dead"), 50).searched_back_to is None


def test_nothing_older_than_wanted_is_searched(
    store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.search_range.SKEW", 0.0)
    monkeypatch.setattr("app.outbox.search_range.NEIGHBOURS", 1)
    store.put([message(str(n), received_at=NOW + n) for n in range(100)])
    assert found(search, limit=1_000, since=NOW + 98) == ["99", "98"]
    monkeypatch.setattr("app.outbox.search.WINDOW", 5)
    monkeypatch.setattr("app.outbox.search.PATIENCE", 10)
    page = search.page(Wanted(since=NOW + 95), 50)
    assert (len(page.events), page.older) == (5, None)
    assert search.counts(Wanted(since=NOW + 95)) == Counts({"pending": 5})
    assert found(search, since=NOW + 200) == []


def test_what_was_kept_again_later_is_found_by_its_time(store: Store, search: Search) -> None:
    """A rejected message that is processed again has a new id, and its old time."""
    times = [NOW + n for n in range(50)]
    times.insert(25, NOW - 9_000)
    store.put([message(str(n), received_at=at) for n, at in enumerate(times)])
    assert len(found(search, limit=100, since=NOW)) == 50


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        ({}, {"sent": 1, "dead": 1, "quarantined": 1, "pending": 2}),
        ({"state": "dead"}, {"sent": 1, "dead": 1, "quarantined": 1, "pending": 2}),
        ({"account": "5150"}, {"pending": 1}),
        ({"email": "ana@example.com"}, {}),
        ({"id_prefix": "d"}, {"dead": 1}),
        ({"words": "nothing"}, {}),
    ],
)
def test_all_states_are_counted_whatever_state_is_wanted(
    store: Store, search: Search, wanted: dict[str, Any], counts: dict[str, int]
) -> None:
    fill(store)
    assert search.counts(Wanted(**wanted)) == Counts(counts)


def test_only_the_newest_are_counted_if_there_are_many(
    store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.counts.MOST_COUNTED", 10)
    store.put([message(str(n)) for n in range(25)])
    assert search.counts(Wanted(account=ACCOUNT)) == Counts({"pending": 10}, is_whole=False)
    monkeypatch.setattr("app.outbox.counts.MOST_READ", 5)
    assert search.counts(Wanted(words="x")) == Counts({}, is_whole=False)


def test_counts_of_two_searches_are_at_least_the_larger_ones() -> None:
    one, other = Counts({"sent": 2, "dead": 1}), Counts({"sent": 3})
    assert one | other == Counts({"sent": 3, "dead": 1}, is_whole=False)
    assert one | Counts({}) == one
    assert Counts({}, is_whole=False) | one == Counts(one.states, is_whole=False)


def test_all_that_waits_is_found_together(store: Store, search: Search) -> None:
    fill(store)
    store.put([message("nobody")])
    with store.engine.begin() as connection:
        nobody = update(events).where(events.c.message_id == "nobody")
        connection.execute(nobody.values(state="unidentified"))
    assert found(search, state="waiting") == ["nobody", "held", "pending"]


def test_pages_follow_one_another_without_gap_or_repeat(store: Store, search: Search) -> None:
    store.put([message(str(n)) for n in range(107)])
    seen, before = [], None
    while True:
        page = search.page(Wanted(), 25, before)
        seen += [int(event.message_id) for event in page.events]
        assert page.searched_back_to is None
        if page.older is None:
            break
        before = page.older
    assert seen == list(range(106, -1, -1))


def test_a_page_gives_up_on_what_is_rare_and_reports_it(
    store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.search.WINDOW", 10)
    monkeypatch.setattr("app.outbox.search.PATIENCE", 30)
    for n in range(100):
        collection = "Email Bounced" if n in (2, 95) else "Email Opened"
        store.put([message(str(n), received_at=NOW + n, collection=collection)])
    wanted = Wanted(collection="Email Bounced")
    first = search.page(wanted, 50)
    assert [event.message_id for event in first.events] == ["95"]
    assert first.searched_back_to == NOW + 70
    last, pages = first, 1
    while last.older is not None:
        last, pages = search.page(wanted, 50, last.older), pages + 1
    assert [event.message_id for event in last.events] == ["2"]
    assert (pages, last.searched_back_to) == (4, None)


def test_a_page_gives_up_after_some_seconds_and_can_go_on(
    store: Store, search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.search.WORDS_WINDOW", 10)
    monkeypatch.setattr("app.outbox.search.LONGEST", 0.0)
    store.put([message(str(n), payload=call(f"mail {n}")) for n in range(30)])
    wanted, before = Wanted(words="mail 3"), None
    pages: list[Page] = []
    while not pages or before is not None:
        pages.append(search.page(wanted, 50, before))
        before = pages[-1].older
    assert [[event.message_id for event in page.events] for page in pages] == [[], [], ["3"]]
    assert [page.searched_back_to for page in pages] == [NOW, NOW, None]


@pytest.mark.parametrize("state", [None, "dead", "pending"])
def test_words_are_looked_for_in_few_calls_at_once(
    store: Store, search: Search, state: State | None
) -> None:
    put_many(store, 2 * WORDS_WINDOW)
    seen: list[tuple[str, Any]] = []
    event.listen(
        store.engine, "before_cursor_execute", lambda *found: seen.append((found[2], found[3]))
    )
    search.page(Wanted(state=state, words="x"), 50)
    looked = [statement for statement in seen if "LIKE" in statement[0]]
    assert len(looked) >= 2
    for statement in looked:
        if store.engine.dialect.name == "sqlite":
            assert steps_on_sqlite(store.engine, statement) < WORDS_WINDOW * 50
        else:
            assert rows_on_postgresql(store.engine, statement) <= 2 * WORDS_WINDOW + 50


def test_the_longest_words_over_the_longest_calls_take_not_long(
    store: Store, search: Search
) -> None:
    """The worst that both engines' LIKE can meet: words that nearly fit everywhere."""
    store.put([message(str(n), payload=call("a" * 32_000)) for n in range(3 * WORDS_WINDOW)])
    began = time.perf_counter()
    search.page(Wanted(words="a" * (MOST_WORDS - 1) + "b"), 50)
    assert time.perf_counter() - began < 30


def test_a_list_reads_no_bodies(store: Store, search: Search) -> None:
    store.put([message(str(n), raw=b"x" * (1 << 20)) for n in range(PAGE + 5)])
    seen: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *found: seen.append(found[2]))
    assert len(search.page(Wanted(), 50).events) == PAGE + 5
    assert "raw" not in "".join(seen)

    seen.clear()
    tracemalloc.start()
    sizes = [len(found.raw) for found in search.find(Wanted(), 50)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sizes == [1 << 20] * (PAGE + 5)
    assert peak < 12 << 20


def test_events_until_a_time_are_found(store: Store, search: Search) -> None:
    store.put([message(str(n), received_at=NOW + n) for n in range(4)])
    assert found(search, since=NOW + 1, until=NOW + 3) == ["2", "1"]


def test_what_no_database_takes_is_not_found_and_no_fault(store: Store, search: Search) -> None:
    store.put([message("a")])
    for odd in ("\0", "\ud800"):
        assert search.one(odd) is None
        assert found(search, email=odd) == found(search, account=odd) == []
        assert found(search, words=odd) == found(search, email_prefix=odd) == []
        assert found(search, email_part=odd) == []
