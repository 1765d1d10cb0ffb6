"""The circuit of a key: when it is open, what a success resets, and what it remembers."""

from math import inf

import pytest

from app.delivery.circuit import GOOD_FOR, Circuit

NOW = 1_700_000_000.0
OPEN = Circuit().open(NOW, 60.0, "HTTP 401")


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (NOW, True),
        (NOW + 59.9, True),
        (NOW + 60, False),
        (NOW + 3600, False),
        # the clock was set back: nobody waits until that time comes again
        (NOW - 0.1, False),
        (NOW - 3600, False),
    ],
)
def test_an_open_circuit_closes_by_itself(at: float, is_open: bool) -> None:
    assert OPEN.is_open(at) is is_open


def test_a_new_circuit_is_closed_and_its_key_unproven() -> None:
    assert not Circuit().is_open(0.0)
    assert not Circuit().is_open(NOW)
    assert not Circuit().was_good(NOW)


@pytest.mark.parametrize(
    ("after", "is_good"), [(0.0, True), (GOOD_FOR - 0.1, True), (GOOD_FOR, False), (inf, False)]
)
def test_a_key_that_worked_is_trusted_for_a_while(after: float, is_good: bool) -> None:
    assert Circuit().after_success(NOW).was_good(NOW + after) is is_good


def test_opening_changes_times_and_reason_alone() -> None:
    before = Circuit(unreachable=2, good_at=NOW - 5, refused_alone=frozenset({7}))
    assert before.open(NOW, 5.0) == Circuit(NOW, NOW + 5, "", 2, NOW - 5, frozenset({7}))
    assert before.open(NOW, 5.0, "HTTP 401").reason == "HTTP 401"


def test_opening_again_forgets_the_older_reason() -> None:
    assert OPEN.open(NOW + 60, 5.0) == Circuit(NOW + 60, NOW + 65, "")


def test_a_success_forgets_failures_and_refusals() -> None:
    failed = Circuit(unreachable=9, refused_alone=frozenset({1, 2}))
    assert failed.after_success(NOW) == Circuit(good_at=NOW)


def test_a_circuit_is_a_value_that_nothing_changes() -> None:
    before = Circuit()
    before.open(NOW, 60.0)
    before.after_success(NOW)
    assert before == Circuit()
