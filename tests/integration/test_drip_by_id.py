"""People whom Drip finds by its own id."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.database.tables import people
from app.outbox.messages import Message
from app.segment_to_drip.people.sent import NOBODY, People
from tests.support.builders import rows
from tests.support.clock import Clock
from tests.support.drip_delivery import SETTLE, DripDeliverer, identify, kept, track
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, FakeDripRest

ANA, NEW = "ana@example.com", "ana.new@example.com"


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    """Whose Drip has a person of whom the bridge remembers nothing."""
    drip = DripDeliverer(engine, fake, clock)
    drip.put(identify("i0", ANA))
    drip.drain()
    People(engine, drip.store.destination).save(ACCOUNT, {ANA: NOBODY})
    return drip


def by_id(make: Any, name: str, drip_id: str, **changes: Any) -> Message:
    """A call that names no address, but this id."""
    message: Message = make(name, None, None, drip_id=drip_id, who=[["drip", drip_id]], **changes)
    return message


def states(drip: DripDeliverer) -> dict[str, str]:
    return {name: row.state for name, row in rows(drip.store).items()}


def test_drip_finds_a_person_by_its_own_id(drip: DripDeliverer, fake: FakeDripRest) -> None:
    anas = fake.person(ANA).id
    once = {"eu_consent": "granted"}
    drip.put(by_id(identify, "i1", anas, subscriber={"city": "Bilbao"}, once=once))
    drip.put(by_id(track, "One", anas), by_id(identify, "i2", anas, once=once))
    drip.drain()
    sent = [visit.items[0] for visit in fake.visits[1:]]
    assert sent == [
        {"id": anas, "city": "Bilbao", "eu_consent": "granted"},
        {"id": anas, "action": "One"},
        {"id": anas},
    ]
    assert set(states(drip).values()) == {"sent"}


def test_an_id_that_drip_does_not_have_is_the_calls_own_fault(drip: DripDeliverer) -> None:
    drip.put(by_id(track, "One", "nobodys"), track("Two", ANA))
    drip.drain()
    assert states(drip) == {"i0": "sent", "One": "dead", "Two": "sent"}


def test_what_waits_by_the_id_keeps_its_place_once_the_address_is_known(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock, engine: Engine
) -> None:
    anas = fake.person(ANA).id
    drip.put(by_id(identify, "i1", anas, once={"eu_consent": "granted"}))
    drip.drain()
    fake.behave = lambda visit: Reply(500) if visit.call and visit.call.kind == "event" else None
    drip.put(by_id(track, "One", anas))
    drip.drain()
    fake.behave = lambda _: None
    drip.put(identify("i2", ANA, drip_id=anas, once={"eu_consent": "granted"}), track("Two", ANA))
    drip.put(by_id(track, "Three", anas))
    drip.drain()
    assert fake.person(ANA).events == []
    clock.now += 10
    drip.drain()
    assert [event["action"] for event in fake.person(ANA).events] == ["One", "Two", "Three"]
    sent = [visit.items[0] for visit in fake.visits[3:]]
    assert [item["email"] for item in sent] == [ANA] * 4
    assert not [item for item in sent if "eu_consent" in item]
    with engine.connect() as connection:
        assert connection.scalars(select(people.c.email)).all() == [ANA]


def test_a_campaign_needs_the_address(drip: DripDeliverer, fake: FakeDripRest) -> None:
    anas = fake.person(ANA).id
    joining = {"campaign_id": CAMPAIGN, "subscriber": {"reactivate_if_removed": False}}
    whose = {"who": [["drip", anas]], "drip_id": anas, "user_id": None, "anonymous_id": None}
    drip.put(kept("c1", {"type": "campaign", **whose, **joining}))
    drip.drain()
    assert states(drip)["c1"] == "unidentified"
    drip.put(identify("i1", ANA, drip_id=anas))
    drip.drain()
    assert fake.person(ANA).campaigns == {CAMPAIGN}


def test_people_with_ids_go_in_batches_and_wait_until_it_is_done(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    addresses = [f"p{n}@example.com" for n in range(120)]
    drip.put(*(identify(f"i-{email}", email) for email in addresses))
    drip.drain()
    clock.now += SETTLE
    ids = [fake.person(email).id for email in addresses]
    drip.put(*(by_id(identify, f"d-{each}", each, subscriber={"city": "Bilbao"}) for each in ids))
    drip.put(by_id(track, "One", ids[0]))
    drip.drain()
    drip.put(*(identify(f"late{n}", addresses[n], drip_id=ids[n]) for n in (0, 1)))
    drip.drain()
    assert {states(drip)[name] for name in ("One", "late0", "late1")} == {"pending"}
    clock.now += SETTLE
    drip.drain()
    assert {fake.person(email).fields["city"] for email in addresses} == {"Bilbao"}
    assert [event["action"] for event in fake.person(addresses[0]).events] == ["One"]


def test_a_person_leaves_by_the_id(drip: DripDeliverer, fake: FakeDripRest) -> None:
    anas = fake.person(ANA).id
    whose = {"who": [["drip", anas]], "drip_id": anas, "user_id": None, "anonymous_id": None}
    drip.put(kept("u1", {"type": "unsubscribe", **whose}))
    drip.drain()
    assert fake.person(ANA).status == "unsubscribed"
    drip.put(kept("d1", {"type": "delete", **whose, "by": "delete"}))
    drip.drain()
    assert fake.people() == {}


def test_a_change_of_address_by_the_id(drip: DripDeliverer, fake: FakeDripRest) -> None:
    anas = fake.person(ANA).id
    drip.put(identify("other", NEW), by_id(identify, "i1", anas, once={"new_email": NEW}))
    drip.drain()
    assert set(fake.people()) == {ANA, NEW}
    assert fake.visits[-1].items == [{"email": NEW}]
    assert "belongs to a person already" in rows(drip.store)["i1"].history
