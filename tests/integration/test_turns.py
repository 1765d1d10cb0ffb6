"""One process at a time sends for an account."""

import pytest
from sqlalchemy import Engine

from app.outbox.turns import Turns
from tests.support.builders import ACCOUNT, NOW


@pytest.fixture
def turns(engine: Engine) -> Turns:
    return Turns(engine, "drip")


def take(turns: Turns, holder: str, now: float, account: str = ACCOUNT) -> bool:
    return turns.take(account, holder, now, now + 60)


def test_a_turn_is_ones_own_until_it_ends(turns: Turns) -> None:
    assert take(turns, "one", NOW)
    assert not take(turns, "two", NOW + 59)
    assert take(turns, "one", NOW + 59)  # keeps it
    assert not take(turns, "two", NOW + 118)
    assert take(turns, "two", NOW + 119)
    assert not take(turns, "one", NOW + 120)


def test_a_turn_that_is_given_back_is_free(turns: Turns) -> None:
    take(turns, "one", NOW)
    turns.end(ACCOUNT, "one")
    assert take(turns, "two", NOW)
    turns.end(ACCOUNT, "one")  # it is no longer one's to give
    assert not take(turns, "one", NOW)


def test_each_account_has_its_own(turns: Turns) -> None:
    assert take(turns, "one", NOW)
    assert take(turns, "two", NOW, account="5150")


def test_a_turn_from_before_the_clock_was_set_back_is_free(turns: Turns) -> None:
    take(turns, "one", NOW + 100_000)
    assert take(turns, "two", NOW)
