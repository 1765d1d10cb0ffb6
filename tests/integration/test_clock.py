"""A clock that jumps prunes nothing, and holds nothing up for long."""

from dataclasses import replace

import pytest
from sqlalchemy import Engine, update

from app.bridge import build_bridge
from app.config.settings import Settings
from app.database.tables import events
from app.monitoring.alert_store import AlertStore, Trouble
from app.outbox.clock import GAP, HOLD, Clock, bring_back, make_due
from app.outbox.pruning import DAY
from app.outbox.store import Store
from tests.support.builders import ACCOUNT, NOW, claim, mark_sent, message, no_wait, rows
from tests.support.logged import Logged

YEAR = 365 * DAY
MINUTE = 60.0


@pytest.fixture
def clock(engine: Engine) -> Clock:
    return Clock(engine)


def test_a_clock_that_runs_evenly_is_believed(clock: Clock) -> None:
    assert all(clock.is_believed(NOW + n * MINUTE, n * MINUTE) for n in range(5))


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY])
def test_a_clock_that_jumps_is_not_believed_until_it_is_right(clock: Clock, jump: float) -> None:
    assert clock.is_believed(NOW, 0.0)
    assert not clock.is_believed(NOW + jump + MINUTE, MINUTE)
    assert not clock.is_believed(NOW + jump + 2 * MINUTE, 2 * MINUTE)
    assert clock.is_believed(NOW + 3 * MINUTE, 3 * MINUTE)


@pytest.mark.parametrize("noted", [True, False])
def test_a_wrong_clock_at_start_is_not_believed(engine: Engine, store: Store, noted: bool) -> None:
    store.put([message("a", received_at=NOW)])
    if noted:
        Clock(engine).is_believed(NOW, 0.0)
    assert not Clock(engine).is_believed(NOW + 40 * DAY, 0.0)


def test_a_clock_is_believed_after_a_rest_if_it_runs_evenly(clock: Clock, engine: Engine) -> None:
    Clock(engine).believe(NOW)
    later = NOW + GAP + 1
    turns = [clock.is_believed(later + at, at) for at in (0.0, HOLD / 2, HOLD - 1, HOLD, HOLD + 1)]
    assert turns == [False, False, False, True, True]


def test_a_jump_of_a_clock_not_believed_begins_the_wait_anew(clock: Clock) -> None:
    clock.believe(NOW - 40 * DAY)
    assert not clock.is_believed(NOW, 0.0)
    assert not clock.is_believed(NOW + HOLD + 2 * DAY, HOLD)
    assert clock.is_believed(NOW + 2 * HOLD + 2 * DAY, 2 * HOLD)


def test_events_of_a_clock_a_year_ahead_are_sent(
    engine: Engine, store: Store, logged: Logged
) -> None:
    store.put([message(f"m{n}", received_at=NOW + YEAR) for n in range(700)])
    assert store.due_accounts(NOW) == []

    assert make_due(engine, ["segment"], NOW, no_wait) == 700

    assert store.due_accounts(NOW) == [ACCOUNT]
    assert {row.due_at for row in rows(store).values()} == {NOW}
    assert "'events': 700" in logged.text


def test_what_waits_for_its_next_try_waits_on(engine: Engine, store: Store) -> None:
    store.put([message("next try", received_at=NOW + 4_320)])
    store.put([message("being sent")])
    claim(store, now=NOW)
    before = rows(store)

    assert make_due(engine, ["segment"], NOW, no_wait) == 0
    assert rows(store) == before


def test_alerts_of_a_clock_far_ahead_are_due(engine: Engine) -> None:
    book = AlertStore(engine)
    book.note([Trouble("refused", "text", "over", 1, NOW)], set(), NOW + YEAR)
    assert book.claim(NOW, NOW + MINUTE) is None

    make_due(engine, ["segment"], NOW, no_wait)

    assert book.claim(NOW, NOW + MINUTE) is not None


@pytest.mark.parametrize("state", ["pending", "sent", "dead", "quarantined", "erased"])
def test_times_of_a_clock_far_ahead_are_brought_back(
    engine: Engine, store: Store, state: str
) -> None:
    store.put([message("ahead", received_at=NOW + YEAR)])
    if state != "pending":
        with engine.begin() as connection:
            connection.execute(update(events).values(state=state, settled_at=NOW + YEAR))

    bring_back(engine, NOW, no_wait)

    (row,) = rows(store).values()
    assert (row.received_at if state == "pending" else row.settled_at) == NOW


def test_a_jump_of_the_clock_prunes_nothing_and_delays_nothing(
    settings: Settings, engine: Engine, store: Store
) -> None:
    bridge = build_bridge(replace(settings, database_url=engine.url))
    store.put([message("sent")])
    mark_sent(store, claim(store), NOW)
    bridge.tidy(NOW, 0.0)
    store.put([message("ahead", received_at=NOW + 40 * DAY)])

    bridge.tidy(NOW + 40 * DAY, 1.0)
    assert rows(store).keys() == {"sent", "ahead"}
    bridge.tidy(NOW, 2.0)
    assert store.due_accounts(NOW) == [ACCOUNT]
    bridge.close()
