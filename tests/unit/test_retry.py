"""When an event is tried again, and when it is given up: the table of numbers, and its limits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.delivery.retry import next_try, pause
from app.destination import RetryPolicy

POLICY = RetryPolicy()

HOUR = 3600.0
DAYS_3 = 72 * HOUR

TRIES = st.integers(1, 100_000)
CHANCE = st.floats(0, 1)
ASKED = st.none() | st.floats(0, 1e300)
TIME = st.floats(0, 4e9)


@pytest.mark.parametrize(
    ("tries", "received_at", "now", "asked", "chance", "due"),
    [
        # what the operator sees in an outage: 5 s, then twice as long each time, to an hour
        (1, 1000.0, 1000.0, None, 0.0, 1005.0),
        (2, 1000.0, 1005.0, None, 0.0, 1015.0),
        (3, 1000.0, 1015.0, None, 0.0, 1035.0),
        (8, 1000.0, 1635.0, None, 0.0, 2275.0),
        (10, 0.0, 10_000.0, None, 0.0, 12_560.0),
        (11, 0.0, 10_000.0, None, 0.0, 13_600.0),
        (99, 0.0, 10_000.0, None, 0.0, 13_600.0),
        # the jitter adds up to a fifth
        (1, 0.0, 0.0, None, 0.5, 5.5),
        (1, 0.0, 0.0, None, 1.0, 6.0),
        (99, 0.0, 0.0, None, 1.0, 4320.0),
        # the longer of the two waits
        (1, 0.0, 0.0, 30.0, 0.0, 30.0),
        (1, 0.0, 0.0, 30.0, 1.0, 36.0),
        (5, 0.0, 0.0, 30.0, 0.0, 80.0),
        (1, 0.0, 0.0, 0.0, 0.0, 5.0),
        (1, 0.0, 0.0, 1e9, 0.0, HOUR),
        # three days after receipt it ends, whatever was asked for
        (8, 0.0, DAYS_3 - 1, None, 0.0, DAYS_3 - 1 + 640.0),
        (8, 0.0, DAYS_3, None, 0.0, None),
        (80, 0.0, DAYS_3, 30.0, 0.0, None),
        (80, 500.0, DAYS_3, None, 0.0, DAYS_3 + HOUR),
        # but not for one that was held all that time and hardly tried
        (1, 0.0, 2 * DAYS_3, None, 0.0, 2 * DAYS_3 + 5.0),
        (7, 0.0, 2 * DAYS_3, None, 0.0, 2 * DAYS_3 + 320.0),
        (8, 0.0, 2 * DAYS_3, None, 0.0, None),
    ],
)
def test_the_next_try_is_due(
    tries: int,
    received_at: float,
    now: float,
    asked: float | None,
    chance: float,
    due: float | None,
) -> None:
    assert next_try(POLICY, tries, received_at, now, asked, chance) == due


@given(TRIES, st.floats(0, POLICY.longest), CHANCE)
def test_a_wait_is_never_shorter_than_what_was_asked_for(
    tries: int, asked: float, chance: float
) -> None:
    assert pause(POLICY, tries, asked, chance) >= asked


@given(TRIES, ASKED, CHANCE)
def test_a_wait_stays_between_the_first_and_the_longest(
    tries: int, asked: float | None, chance: float
) -> None:
    assert (
        POLICY.first <= pause(POLICY, tries, asked, chance) <= POLICY.longest * (1 + POLICY.spread)
    )


@given(TRIES, CHANCE, CHANCE)
def test_each_wait_is_longer_up_to_the_longest(
    tries: int, chance: float, next_chance: float
) -> None:
    this, following = (
        pause(POLICY, tries, None, chance),
        pause(POLICY, tries + 1, None, next_chance),
    )
    assert following > this or following >= POLICY.longest


@given(TRIES, TIME, TIME, ASKED, CHANCE)
def test_an_event_is_given_up_if_old_and_tried_enough(
    tries: int, received_at: float, now: float, asked: float | None, chance: float
) -> None:
    due = next_try(POLICY, tries, received_at, now, asked, chance)

    old, tried_enough = now - received_at >= POLICY.give_up_after, tries >= POLICY.fewest_tries
    assert (due is None) == (old and tried_enough)
    assert due is None or due > now
