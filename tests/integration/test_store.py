"""What is put is kept once; what is claimed is one deliverer's until its lease ends."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlalchemy.engine import URL

from app.database.engine import open_database
from app.database.tables import events
from app.drip_to_segment.translate import translate
from app.outbox.messages import Attempt, Lease, Released, attempt_to_line, read_history
from app.outbox.requeue import Requeue
from app.outbox.store import Store
from tests.support.builders import (
    ACCOUNT,
    LATER,
    NOW,
    PAYLOAD,
    ROOMY,
    claim,
    mark_dead,
    mark_sent,
    message,
    messages,
    names,
    reschedule,
    rows,
    same_but,
)
from tests.support.cost import Settle, rows_on_postgresql, statements_of, steps_on_sqlite


def test_a_claim_takes_account_by_account_as_many_as_fit(store: Store) -> None:
    for account in ("a", "b", "c"):
        store.put([message(f"{account}{n}", account=account) for n in range(3)])
    lease = store.claim(["b", "none", "a", "c"], NOW, NOW + 30, 5, ROOMY)
    assert [event.message_id for event in lease.messages] == ["b0", "b1", "b2", "a0", "a1"]
    assert lease.accounts == ["b", "a"]
    rest = store.claim(["a", "b", "c"], NOW, NOW + 30, 5, ROOMY)
    assert [event.message_id for event in rest.messages] == ["a2", "c0", "c1", "c2"]


# put


def test_putting_gives_the_ids_that_are_new(store: Store) -> None:
    assert store.put([message("a"), message("b")]) == {"a", "b"}
    assert store.put([message("b"), message("c")]) == {"c"}
    assert store.put([message("c")]) == set()


def test_what_is_put_is_kept_to_the_byte(store: Store) -> None:
    raw = bytes(range(256))
    store.put([message("a", raw=raw, payload='{"x":"\\u0000\\u00e9"}', received_at=NOW + 0.123456)])

    row = rows(store)["a"]

    assert (row.raw, row.payload) == (raw, '{"x":"\\u0000\\u00e9"}')
    assert (row.destination, row.account, row.state) == ("segment", ACCOUNT, "pending")
    assert (row.received_at, row.due_at) == (NOW + 0.123456, NOW + 0.123456)
    assert (row.tries, row.lease, row.error, row.settled_at) == (0, None, None, None)


def test_a_repeat_stores_nothing_and_keeps_the_first_row(store: Store) -> None:
    store.put([message("a")])
    before = rows(store)

    store.put([message("a", account="other", payload="{}", raw=b"other", received_at=NOW + 9)])

    assert rows(store) == before


def test_a_repeat_of_what_was_sent_does_not_send_it_again(store: Store) -> None:
    store.put([message("a")])
    mark_sent(store, claim(store), NOW)

    assert store.put([message("a")]) == set()
    assert store.due_accounts(LATER) == []


def test_copies_within_one_put_are_one_event(store: Store) -> None:
    assert store.put([message("a", raw=b"first"), message("a", raw=b"second")]) == {"a"}
    assert [row.raw for row in rows(store).values()] == [b"first"]


@pytest.mark.parametrize("known", [(), (0, 31, 32, 500)])
def test_a_thousand_at_once_are_put_each_with_its_own_body(
    store: Store, known: tuple[int, ...]
) -> None:
    before = {f"m{n}" for n in known}
    store.put([message(name, raw=b"the first") for name in before])

    new = store.put(messages(1000))

    assert new == {f"m{n}" for n in range(1000)} - before
    kept = {name: row.raw for name, row in rows(store).items()}
    assert kept == {name: name.encode() for name in new} | dict.fromkeys(before, b"the first")


def test_what_is_quarantined_is_never_claimed(store: Store) -> None:
    store.put([message("a", payload=None, errors={"body": ["not JSON"]})])

    assert rows(store)["a"].state == "quarantined"
    assert rows(store)["a"].error == '{"body": ["not JSON"]}'
    assert store.due_accounts(LATER) == []
    assert claim(store, now=LATER).messages == ()


# claim


def test_a_claim_has_what_is_needed_to_send(store: Store) -> None:
    store.put([message("a", received_at=NOW - 5)])

    (claimed,) = claim(store).messages

    assert (claimed.payload, claimed.received_at, claimed.tries) == (PAYLOAD, NOW - 5, 0)
    assert claimed.id == rows(store)["a"].id


def test_a_claim_takes_the_oldest_due_first(store: Store) -> None:
    ages = {"a": 1, "b": 4, "c": 2, "d": 3}
    store.put([message(name, received_at=NOW - age) for name, age in ages.items()])

    taken = [names(store, claim(store, most_events=1))[0] for _ in range(4)]

    assert taken == ["b", "d", "c", "a"]


def test_the_first_put_of_those_due_together_comes_first(store: Store) -> None:
    store.put([message(name) for name in "abc"])

    assert names(store, claim(store, most_events=2)) == ["a", "b"]


def test_only_what_is_due_is_claimed(store: Store) -> None:
    store.put([message("now"), message("later", received_at=NOW + 0.001)])

    assert names(store, claim(store)) == ["now"]
    assert names(store, claim(store, now=NOW + 0.001)) == ["later"]


def test_only_the_accounts_own_events_are_claimed(store: Store) -> None:
    store.put([message("a"), message("b", account="5150"), message("c", account="")])

    assert names(store, claim(store, "5150")) == ["b"]
    assert names(store, claim(store, "")) == ["c"]
    assert claim(store, "none").messages == ()


def test_a_claim_is_limited_by_events(store: Store) -> None:
    store.put(messages(5))

    assert names(store, claim(store, most_events=3)) == ["m0", "m1", "m2"]
    assert names(store, claim(store, most_events=3)) == ["m3", "m4"]


@pytest.mark.parametrize(("most_bytes", "fit"), [(99, 0), (100, 1), (299, 2), (300, 3), (301, 3)])
def test_a_claim_is_limited_by_bytes_to_the_byte(store: Store, most_bytes: int, fit: int) -> None:
    store.put(messages(5, payload="x" * 100))

    lease = claim(store, most_bytes=most_bytes)

    assert names(store, lease) == [f"m{n}" for n in range(fit)]
    assert lease.payload_bytes == 100 * fit


def test_a_message_that_does_not_fit_holds_back_smaller_ones(store: Store) -> None:
    sizes = {"a": 60, "b": 50, "c": 10}
    store.put([message(name, payload="x" * size) for name, size in sizes.items()])

    assert names(store, claim(store, most_bytes=100)) == ["a"]
    assert names(store, claim(store, most_bytes=100)) == ["b", "c"]


def test_what_did_not_fit_is_not_claimed(store: Store) -> None:
    store.put(messages(2, payload="x" * 100))
    claim(store, most_bytes=100)

    left = rows(store)["m1"]

    assert (left.lease, left.due_at) == (None, NOW)


def test_what_is_claimed_is_nobody_elses_until_its_lease_ends(store: Store) -> None:
    store.put([message("a")])
    first = claim(store)

    assert claim(store, now=LATER - 0.001).messages == ()
    assert store.due_accounts(LATER - 0.001) == []
    second = claim(store, now=LATER)

    assert names(store, second) == ["a"]
    assert second.token != first.token


def test_parts_of_a_claim_share_its_token_and_its_events(store: Store) -> None:
    store.put(messages(5))
    lease = claim(store)

    first, second = lease.only(lease.messages[:2]), lease.only(lease.messages[2:])

    assert first.token == second.token == lease.token
    assert (len(first.messages), len(second.messages)) == (2, 3)
    assert first.messages + second.messages == lease.messages


# due_accounts


def test_each_account_with_something_due_is_named_once(store: Store) -> None:
    store.put([message(f"{n}-{copy}", account=f"{n:03}") for n in range(300) for copy in range(3)])

    assert store.due_accounts(NOW) == [f"{n:03}" for n in range(300)]


def test_an_account_with_nothing_due_is_not_named(store: Store) -> None:
    store.put([message(account, account=account) for account in ("", "a", "b", "c", "d")])
    store.put([message("e", account="e", received_at=NOW + 1)])
    store.put([message("f", account="f", payload=None)])
    claim(store, "a")
    mark_sent(store, claim(store, "b"), NOW)
    mark_dead(store, claim(store, "c"), Attempt(NOW, "no", ""))

    assert store.due_accounts(NOW) == ["", "d"]
    assert store.due_accounts(LATER) == ["", "a", "d", "e"]


def test_an_empty_outbox_has_no_accounts(store: Store) -> None:
    assert store.due_accounts(NOW) == []


# what may become of a claim


def renew(store: Store, lease: Lease) -> object:
    return store.renew(lease, LATER + 30)


def settle_sent(store: Store, lease: Lease) -> object:
    return mark_sent(store, lease, NOW + 1)


def settle_dead(store: Store, lease: Lease) -> object:
    return mark_dead(store, lease, Attempt(NOW + 1, "HTTP 400 no", ""))


def settle_released(store: Store, lease: Lease) -> object:
    return store.settle(lease, Released(NOW + 1)).total()


def settle_failed(store: Store, lease: Lease) -> object:
    return reschedule(
        store, lease, {e.id: NOW + 60 for e in lease.messages}, Attempt(0.0, "HTTP 503", "")
    )


@pytest.mark.parametrize(
    ("act", "answer", "changes"),
    [
        (renew, True, {"due_at": LATER + 30}),
        (
            settle_sent,
            1,
            {"state": "sent", "settled_at": NOW + 1, "lease": None, "tries": 1, "error": None},
        ),
        (
            settle_dead,
            1,
            {
                "state": "dead",
                "settled_at": NOW + 1,
                "lease": None,
                "tries": 1,
                "error": "HTTP 400 no",
                "reason": "HTTP 400 no",
                "history": attempt_to_line(Attempt(NOW + 1, "HTTP 400 no")),
            },
        ),
        (settle_released, 1, {"due_at": NOW + 1, "lease": None}),
        (
            settle_failed,
            1,
            {
                "due_at": NOW + 60,
                "lease": None,
                "tries": 1,
                "error": "HTTP 503",
                "reason": "HTTP 503",
                "history": attempt_to_line(Attempt(0.0, "HTTP 503")),
            },
        ),
    ],
)
def test_an_act_changes_its_own_columns_and_no_other(
    store: Store, act: Settle, answer: object, changes: dict[str, Any]
) -> None:
    store.put([message("ours"), message("anothers")])
    lease = claim(store, most_events=1)
    claim(store)
    before = rows(store)

    assert act(store, lease) == answer

    after = rows(store)
    assert same_but(after["ours"]) == same_but(before["ours"], **changes)
    assert after["anothers"] == before["anothers"]


@pytest.mark.parametrize("act", [renew, settle_sent, settle_dead, settle_released, settle_failed])
def test_a_stale_act_is_refused(store: Store, act: Settle) -> None:
    store.put([message("a")])
    stale = claim(store)
    claim(store, now=LATER)
    before = rows(store)

    assert not act(store, stale)

    assert rows(store) == before


@pytest.mark.parametrize("end", [settle_sent, settle_dead, settle_released, settle_failed])
def test_what_was_settled_is_not_settled_again(store: Store, end: Settle) -> None:
    store.put([message("a")])
    lease = claim(store)
    end(store, lease)
    before = rows(store)

    for act in (renew, settle_sent, settle_dead, settle_released, settle_failed):
        assert not act(store, lease)
    assert rows(store) == before


@pytest.mark.parametrize("act", [renew, settle_sent, settle_dead, settle_released, settle_failed])
def test_only_what_is_still_ours_is_settled(store: Store, act: Settle) -> None:
    store.put(messages(3))
    lease = claim(store)
    first = replace(lease, messages=lease.messages[:1])
    mark_sent(store, first, NOW)
    sent = rows(store)["m0"]

    assert act(store, lease) == (False if act is renew else 2)

    assert rows(store)["m0"] == sent


def test_each_event_is_postponed_to_a_time_of_its_own(store: Store) -> None:
    store.put(messages(3))
    lease = claim(store)

    reschedule(
        store,
        lease,
        {e.id: NOW + 10 * n for n, e in enumerate(lease.messages, 1)},
        Attempt(0.0, "no", ""),
    )

    assert names(store, claim(store, now=NOW + 20)) == ["m0", "m1"]
    assert names(store, claim(store, now=NOW + 30)) == ["m2"]


def test_tries_are_counted_over_claims(store: Store) -> None:
    store.put([message("a")])
    for _ in range(3):
        settle_failed(store, claim(store, now=LATER * 2))

    assert claim(store, now=LATER * 2).messages[0].tries == 3


@pytest.mark.parametrize("act", [renew, settle_sent, settle_dead, settle_released, settle_failed])
def test_a_full_claim_is_settled_whole(store: Store, act: Settle) -> None:
    store.put(messages(100))

    assert act(store, claim(store)) == (True if act is renew else 100)


# many at once


def test_eight_that_claim_at_once_never_get_the_same_event(store: Store, database_url: URL) -> None:
    store.put(messages(2_000))
    stores = [Store(open_database(database_url), "segment") for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        taken = [id_ for ids in pool.map(_claim_all, stores) for id_ in ids]
    for each in stores:
        each.engine.dispose()

    assert len(taken) == len(set(taken)) == 2_000


def _claim_all(store: Store) -> list[int]:
    ids: list[int] = []
    while lease := claim(store, most_events=40).messages:
        ids += [claimed.id for claimed in lease]
    return ids


def test_eight_that_put_the_same_events_at_once_keep_each_once(
    store: Store, database_url: URL
) -> None:
    stores = [Store(open_database(database_url), "segment") for _ in range(8)]

    with ThreadPoolExecutor(8) as pool:
        fresh = [name for new in pool.map(lambda s: s.put(messages(50)), stores) for name in new]
    for each in stores:
        each.engine.dispose()

    assert sorted(fresh) == sorted(rows(store))
    assert len(fresh) == 50


# what the power may take


def test_a_put_is_on_disk_on_return(store: Store) -> None:
    is_sqlite = store.engine.dialect.name == "sqlite"
    how, synced, later = (
        ("PRAGMA synchronous", 2, 1) if is_sqlite else ("SHOW synchronous_commit", "on", "on")
    )
    seen: list[Any] = []
    event.listen(
        store.engine, "commit", lambda connection: seen.append(connection.scalar(text(how)))
    )

    for number, act in enumerate((renew, settle_failed, settle_released, settle_dead, settle_sent)):
        seen.clear()
        store.put([message(f"m{number}")])
        act(store, claim(store))  # over the same connection
        assert seen == [synced, later, later], act


# how much is gone through to do it


WAITING = 3_000
DONE = 1_000
ACCOUNTS = 10
BATCH = 50

MOST_ROWS: dict[Settle, int] = {
    lambda store, _: store.due_accounts(NOW): 3 * ACCOUNTS,
    lambda store, _: claim(store, "a9", most_events=BATCH): 3 * BATCH,  # with bodies, and to take
    renew: BATCH,
    settle_sent: BATCH,
    settle_dead: BATCH,
    settle_released: BATCH,
    settle_failed: 1,
}
"""What each statement of the store is about, in rows; of a failure, for one event."""

STEPS_A_ROW = 100
"""Instructions of SQLite's machine, amply: a scan of the table takes six a row."""


def test_no_statement_goes_through_more_rows_than_it_is_about(store: Store) -> None:
    store.put([message(f"done{n}") for n in range(DONE)])
    with store.engine.begin() as connection:
        connection.execute(update(events).values(state="sent"))
    store.put([message(f"m{n}", account=f"a{n % ACCOUNTS}") for n in range(WAITING)])
    sqlite = store.engine.dialect.name == "sqlite"

    for number, (act, most_rows) in enumerate(MOST_ROWS.items()):
        lease = claim(store, f"a{number}", most_events=BATCH)
        statements = statements_of(store, act, lease)
        if sqlite:
            steps = sum(steps_on_sqlite(store.engine, statement) for statement in statements)
            assert steps <= most_rows * STEPS_A_ROW, statements
        else:
            gone = sum(rows_on_postgresql(store.engine, statement) for statement in statements)
            assert gone <= most_rows, statements


def test_the_history_has_every_failure_and_requeue_in_order(store: Store) -> None:
    store.put([message("a")])
    first = claim(store)
    reschedule(store, first, {first.messages[0].id: NOW + 1}, Attempt(NOW, "HTTP 503", "busy\nnow"))
    mark_dead(store, claim(store, now=LATER), Attempt(NOW + 2, "HTTP 400", "no"))
    Requeue(store.engine, "segment", translate).one("a", NOW + 3)
    assert read_history(rows(store)["a"].history) == [
        Attempt(NOW, "HTTP 503", "busy\nnow"),
        Attempt(NOW + 2, "HTTP 400", "no"),
        Attempt(NOW + 3, "retried by hand", ""),
    ]
    assert read_history(None) == []


# after an outage


def due_of(store: Store) -> dict[str, float]:
    return {name: row.due_at - NOW for name, row in rows(store).items()}


def put_failed(store: Store, *names: str, account: str = ACCOUNT, due: float = NOW + 600) -> None:
    """Messages that failed, and are tried again then."""
    store.put([message(name, account=account) for name in names])
    lease = claim(store, account)
    reschedule(store, lease, {one.id: due for one in lease.messages}, Attempt(NOW, "HTTP 500"))


def test_what_failed_is_brought_forward_the_longest_waiting_first(store: Store) -> None:
    for number, due in enumerate((900, 600, 300)):
        put_failed(store, f"m{number}", due=NOW + due)
    assert store.bring_forward([ACCOUNT], NOW, 2) == 2
    assert due_of(store) == {"m0": 900, "m1": 0, "m2": 0}
    assert store.bring_forward([ACCOUNT], NOW, 2) == 1
    assert store.bring_forward([ACCOUNT], NOW, 2) == 0
    assert set(due_of(store).values()) == {0}


def test_what_waits_for_another_reason_is_not_brought_forward(store: Store) -> None:
    put_failed(store, "another account", account="5150")
    put_failed(store, "sent")
    mark_sent(store, claim(store, now=NOW + 600), NOW + 600)
    put_failed(store, "leased", due=NOW)
    store.claim([ACCOUNT], NOW, NOW + 30, 1, 1_000)
    put_failed(store, "due sooner", due=NOW - 5)
    store.put([message("due later, untried", received_at=NOW + 300)])
    before = rows(store)
    assert store.bring_forward([ACCOUNT], NOW, 100) == 0
    assert rows(store) == before


def test_what_was_put_back_untried_is_brought_forward_too(store: Store) -> None:
    store.put([message("m0")])
    store.settle(claim(store), Released(NOW + 60, "HTTP 401: check SEGMENT_WRITE_KEY"))
    assert store.bring_forward([ACCOUNT], NOW + 9, 100) == 1
    assert due_of(store) == {"m0": 9}


def test_another_destinations_messages_stay(store: Store) -> None:
    put_failed(Store(store.engine, "drip"), "m0")
    assert store.bring_forward([ACCOUNT], NOW, 100) == 0
