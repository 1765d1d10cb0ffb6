"""A batch that is sent in parts, or a second time, keeps each person's order: nobody is in two
batches at a time, and what comes later does not overtake."""

import json
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine

from tests.support.builders import NOW, rows
from tests.support.clock import Clock
from tests.support.drip_delivery import SETTLE, DripDeliverer, identify, track
from tests.support.drip_requests import Reply, refusal
from tests.support.fake_drip_rest import ACCOUNT, FakeDripRest, Visit

PEOPLE, EACH = 30, 5
ADDRESSES = [f"p{n}@example.com" for n in range(PEOPLE)]
ACTIONS = [f"Event {n}" for n in range(EACH)]
CULPRIT = f"p7 {ACTIONS[2]}"

BATCH = f"POST /v2/{ACCOUNT}/events/batches"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeDripRest]:
    with FakeDripRest(clock=clock, batch_delay=SETTLE - 1) as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    """People who are known, and several events of each, of which a batch takes all."""
    drip = DripDeliverer(engine, fake, clock)
    drip.put(*(identify(f"i{n}", email) for n, email in enumerate(ADDRESSES)))
    drip.drain()
    for action in ACTIONS:
        drip.put(*(track(f"p{n} {action}", email) for n, email in enumerate(ADDRESSES)))
    return drip


def has_culprit(visit: Visit) -> bool:
    return CULPRIT in {item.get("action") for item in visit.items}


def refuse(visit: Visit) -> Reply | None:
    return refusal(422, "email_error", "not to our taste", "email") if has_culprit(visit) else None


def forbid(visit: Visit) -> Reply | None:
    return Reply(403, b"<h1>No</h1>") if has_culprit(visit) else None


def busy_if_alone(visit: Visit) -> Reply | None:
    """Refuse each batch that is larger than one of one person, and then that one for now."""
    if not has_culprit(visit):
        return None
    if visit.call and visit.call.is_batch:
        return refuse(visit)
    body = json.dumps({"message": "Too many concurrent requests for the same subscriber"})
    return Reply(429, body.encode())


@pytest.mark.parametrize("behave", [refuse, forbid, busy_if_alone])
def test_a_batch_in_parts_keeps_the_order_of_each_person(
    drip: DripDeliverer,
    fake: FakeDripRest,
    behave: Callable[[Visit], Reply | None],
) -> None:
    fake.behave = behave
    drip.run(3 * SETTLE, step=60)
    fake.behave = lambda _: None
    drip.run(3 * SETTLE + 3_600, step=180)
    is_dead = rows(drip.store)[CULPRIT].state == "dead"
    assert is_dead == (behave is refuse)
    for n, email in enumerate(ADDRESSES):
        expected = [f"p{n} {action}" for action in ACTIONS]
        if n == 7 and is_dead:
            expected.remove(CULPRIT)
        assert [event["action"] for event in fake.person(email).events] == expected


def test_a_batch_without_an_answer_is_sent_again_once_drip_may_be_done(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    """Drip may have taken it all the same, and be at work on it."""
    cut = Reply(cut=True)
    fake.behave = lambda visit: cut if visit.line == BATCH else None
    drip.drain()
    fake.behave = lambda _: None
    assert fake.lines()[-1] == BATCH
    drip.run(SETTLE - 20, step=58)
    drip.put(track("p0 Later", ADDRESSES[0]))
    drip.run(2 * SETTLE + 20, step=20)
    actions = [event["action"] for event in fake.person(ADDRESSES[0]).events]
    once = [f"p0 {action}" for action in ACTIONS]
    assert actions == [*once, *once, "p0 Later"]
    assert clock.now > NOW
