"""Fault 34: a call for which Drip refuses a whole batch, and a Drip that refuses all batches."""

import math
from collections.abc import Callable

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events
from app.outbox.store import Store
from tests.faults.conftest import engines
from tests.faults.ledger import read
from tests.faults.people import assert_kept, keep, lives, most_in_an_hour
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_process import wait_until_settled
from tests.support.drip_requests import Reply, refusal
from tests.support.fake_drip_rest import FakeDripRest, Visit

PEOPLE, EVENTS = 60, 3

MOST_REQUESTS = 2 * math.ceil(math.log2(PEOPLE * EVENTS)) + 1
"""To find one call by halving."""

TASTE = refusal(422, "email_error", "not to our taste", "email")


@engines("postgresql")
@pytest.mark.fault(
    34, "Drip answers 422 to any request with one of 180 events, and does not say why"
)
def test_one_poison_event_dies_alone_and_its_person_goes_on(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    calls, promised = lives(range(PEOPLE), EVENTS)
    poison = "37-1"
    promised["37@people.example"].remove(poison)
    refused: list[Visit] = []

    def refuse(visit: Visit) -> Reply | None:
        if poison not in {item.get("action") for item in visit.items}:
            return None
        refused.append(visit)
        return TASTE

    drip.behave = refuse
    keep(Store(engine, "drip"), calls)
    to_drip.start_deliverer()
    wait_until_settled(engine, 60)
    assert assert_kept(drip, promised) == set()
    dead = read(engine, select(events.c.message_id, events.c.error).where(events.c.state == "dead"))
    assert [(row.message_id, row.error) for row in dead] == [
        (poison, "HTTP 422 email_error: email: not to our taste")
    ]
    assert len(refused) <= MOST_REQUESTS
    assert drip.refused_by_limit == []
    seen(
        f"{PEOPLE * EVENTS - 1} events once and in order, 1 dead with the reason after "
        f"{len(refused)} refusals, its person's next event sent"
    )


@engines("sqlite")
@pytest.mark.fault(34, "Drip answers 422 to every batch")
def test_people_go_one_by_one_if_no_batch_is_taken(
    to_drip: BridgeProcess, engine: Engine, drip: FakeDripRest, seen: Callable[[str], None]
) -> None:
    calls, promised = lives(range(PEOPLE), EVENTS)
    refused = Reply(422, b'{"errors": [{"message": "Subscribers must be an array"}]}')
    drip.behave = lambda visit: refused if visit.call and visit.call.is_batch else None
    keep(Store(engine, "drip"), calls)
    to_drip.start_deliverer()
    wait_until_settled(engine, 60)
    assert assert_kept(drip, promised) == set()
    assert drip.refused_by_limit == []
    most = most_in_an_hour(drip)
    assert most["batches"] <= 50
    seen(
        f"{PEOPLE * EVENTS} events of {PEOPLE} people one by one, once and in order, after "
        f"{most['batches']} batches of the 50 an hour"
    )
