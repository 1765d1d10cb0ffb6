"""Requests are counted in a sliding hour, over all processes."""

import threading

import pytest
from sqlalchemy import Engine

from app.database.engine import open_database
from app.destination import RateLimited
from app.segment_to_drip.sending.budget import (
    CLOSED_BY_ANSWER,
    CLOSED_BY_HEADER,
    HOUR,
    PLAN_AGAIN,
    DatabaseBudget,
    Slot,
)
from app.segment_to_drip.sending.operations import Bucket
from tests.support.builders import ACCOUNT, NOW
from tests.support.clock import Clock

LIMITS: dict[Bucket, int] = {"requests": 5, "batches": 2}


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def budget(engine: Engine, clock: Clock) -> DatabaseBudget:
    return DatabaseBudget(engine, "drip", LIMITS, clock)


def available(budget: DatabaseBudget, account: str = ACCOUNT) -> dict[str, int]:
    return {bucket: left.available for bucket, left in budget.left(account).items()}


def test_an_hour_slides(budget: DatabaseBudget, clock: Clock) -> None:
    for _ in range(5):
        budget.take(ACCOUNT, "requests")
        clock.now += 60
    with pytest.raises(RateLimited) as caught:
        budget.take(ACCOUNT, "requests")
    assert caught.value.wait == PLAN_AGAIN  # the other bucket may have some
    assert budget.left(ACCOUNT)["requests"].frees_at == NOW + HOUR
    clock.now = NOW + HOUR
    assert available(budget)["requests"] == 0
    clock.now += 1
    assert available(budget) == {"requests": 1, "batches": 2}
    budget.take(ACCOUNT, "requests")
    with pytest.raises(RateLimited):
        budget.take(ACCOUNT, "requests")


def test_slots_say_when_each_minutes_requests_are_free_again(
    budget: DatabaseBudget, clock: Clock
) -> None:
    clock.now = NOW // 60 * 60
    start = clock.now
    for seconds in (0, 20, 40):
        clock.now += seconds
        budget.take(ACCOUNT, "requests")
    assert budget.slots(ACCOUNT) == {
        "requests": [Slot(clock.now, 2), Slot(start + 20 + HOUR, 2), Slot(start + 60 + HOUR, 1)],
        "batches": [Slot(clock.now, 2)],
    }
    clock.now = start + HOUR + 1
    assert sum(slot.requests for slot in budget.slots(ACCOUNT)["requests"]) == 5


def test_buckets_and_accounts_are_apart(budget: DatabaseBudget) -> None:
    for _ in range(2):
        budget.take(ACCOUNT, "batches")
    assert available(budget) == {"requests": 5, "batches": 0}
    assert available(budget, "5150") == {"requests": 5, "batches": 2}


def test_a_request_that_cost_nothing_is_given_back(budget: DatabaseBudget) -> None:
    budget.take(ACCOUNT, "batches")
    budget.give_back(ACCOUNT, "batches")
    assert available(budget)["batches"] == 2


def test_drips_own_count_is_heeded_if_it_is_lower(budget: DatabaseBudget, clock: Clock) -> None:
    budget.take(ACCOUNT, "requests")
    budget.report(ACCOUNT, "requests", 4)
    assert available(budget)["requests"] == 4
    budget.report(ACCOUNT, "requests", 0)
    assert available(budget)["requests"] == 0
    clock.now += CLOSED_BY_HEADER
    assert available(budget)["requests"] == 4


def test_a_refusal_closes_the_bucket_for_a_while(budget: DatabaseBudget, clock: Clock) -> None:
    assert budget.exhausted(ACCOUNT, "batches") < 10
    assert available(budget) == {"requests": 5, "batches": 0}
    assert budget.left(ACCOUNT)["batches"].frees_at == NOW + CLOSED_BY_ANSWER
    with pytest.raises(RateLimited):
        budget.take(ACCOUNT, "batches")
    clock.now += CLOSED_BY_ANSWER
    assert available(budget)["batches"] == 2


def test_a_clock_that_was_set_back_closes_nothing_for_long(
    budget: DatabaseBudget, clock: Clock
) -> None:
    clock.now += 1e6
    for _ in range(5):
        budget.take(ACCOUNT, "requests")
    budget.exhausted(ACCOUNT, "batches")
    clock.now = NOW
    assert available(budget) == {"requests": 5, "batches": 2}


def test_five_at_once_share_the_hour(engine: Engine, clock: Clock) -> None:
    taken: list[int] = []

    def take_all() -> None:
        own = open_database(engine.url)
        budget = DatabaseBudget(own, "drip", {"requests": 40, "batches": 0}, clock)
        while True:
            try:
                budget.take(ACCOUNT, "requests")
            except RateLimited:
                break
            taken.append(1)
        own.dispose()

    threads = [threading.Thread(target=take_all) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 40
