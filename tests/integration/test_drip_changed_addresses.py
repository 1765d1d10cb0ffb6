"""People in Drip who get another address."""

from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.database.tables import identities, people
from app.outbox.erasure import Erasure
from app.outbox.messages import Message
from tests.support.builders import rows
from tests.support.clock import Clock
from tests.support.drip_delivery import SETTLE, DripDeliverer, campaign, identify, track
from tests.support.drip_requests import Reply
from tests.support.fake_drip_rest import CAMPAIGN, FakeDripRest

ANA, NEW, LAST = "ana@example.com", "ana.new@example.com", "ana.last@example.com"


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    return DripDeliverer(engine, fake, clock)


def known(name: str, email: str, user: str = "u1", **changes: Any) -> Message:
    """An identify call by which a user may change the address."""
    return identify(name, email, user, changes_address=True, **changes)


def actions(fake: FakeDripRest, email: str) -> list[str]:
    return [event["action"] for event in fake.person(email).events]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_user_with_another_address_is_the_same_person(
    drip: DripDeliverer, fake: FakeDripRest, at_once: bool
) -> None:
    calls = [
        known("i1", ANA, once={"eu_consent": "granted"}),
        campaign("c1", ANA, CAMPAIGN),
        track("One", None, "u1"),
        known("i2", NEW, once={"eu_consent": "granted"}),
        campaign("c2", NEW, CAMPAIGN),
        track("Two", None, "u1"),
        known("i3", ANA),  # a browser that does not know of the change
        track("Three", ANA, "u1"),
    ]
    for part in [calls] if at_once else [[call] for call in calls]:
        drip.put(*part)
        drip.drain()
    assert list(fake.people()) == [NEW]
    assert actions(fake, NEW) == ["One", "Two", "Three"]
    sent = [visit.items[0] for visit in fake.visits]
    assert [item["new_email"] for item in sent if "new_email" in item] == [NEW]
    # what was sent once under the old address is not sent again
    assert len([item for item in sent if "eu_consent" in item]) == 1
    assert len([line for line in fake.lines() if "campaigns" in line]) == 1
    assert all(row.state == "sent" for row in rows(drip.store).values())


def test_what_waits_of_the_old_address_goes_before_the_change_and_the_new_after_it(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(known("i1", ANA))
    drip.drain()
    fake.behave = lambda visit: Reply(500) if visit.call and visit.call.kind == "event" else None
    drip.put(track("One", ANA))
    drip.drain()
    drip.put(known("i2", NEW), track("Two", None, "u1"), track("Three", NEW))
    drip.put(known("i3", LAST), track("Four", None, "u1"))
    drip.drain()
    assert list(fake.people()) == [ANA]
    fake.behave = lambda _: None
    clock.now += 10
    drip.drain()
    assert list(fake.people()) == [LAST]
    assert actions(fake, LAST) == ["One", "Two", "Three", "Four"]


def test_what_waited_for_the_user_before_the_change_has_its_place(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(track("One", None, "u1"))
    drip.drain()
    fake.behave = lambda visit: Reply(500) if visit.call and visit.call.kind == "event" else None
    drip.put(known("i1", ANA), known("i2", NEW))
    drip.drain()
    fake.behave = lambda _: None
    clock.now += 10
    drip.drain()
    assert list(fake.people()) == [NEW]
    assert actions(fake, NEW) == ["One"]


def test_a_new_address_that_is_another_persons_is_used_and_noted(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i0", NEW), known("i1", ANA))
    drip.drain()
    drip.put(known("i2", NEW, subscriber={"city": "Bilbao"}), track("One", None, "u1"))
    drip.drain()
    assert set(fake.people()) == {ANA, NEW}
    assert fake.person(NEW).fields["city"] == "Bilbao"
    assert actions(fake, NEW) == ["One"]
    assert "belongs to a person already" in rows(drip.store)["i2"].history
    drip.put(track("Two", ANA))  # whom Drip still has
    drip.drain()
    assert actions(fake, ANA) == ["Two"]


def test_people_of_a_batch_change_their_address_when_it_is_done(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(*(known(f"i{n}", f"p{n}@example.com", f"u{n}") for n in range(150)))
    drip.drain()
    drip.put(known("change", NEW, "u7"), track("One", None, "u7"))
    drip.drain()
    assert rows(drip.store)["change"].state == "pending"
    clock.now += SETTLE
    drip.drain()
    assert "p7@example.com" not in fake.people()
    assert actions(fake, NEW) == ["One"]


def test_other_ids_follow_but_not_another_user_of_the_address(
    drip: DripDeliverer, engine: Engine
) -> None:
    drip.put(known("i1", ANA, anonymous_id="b1"), identify("i2", ANA, anonymous_id="b2"))
    drip.put(identify("i3", ANA, "u2", anonymous_id="b3", drip_id="d1"))
    drip.drain()
    drip.put(known("i4", NEW))
    drip.drain()
    with engine.connect() as connection:
        found = connection.execute(select(identities.c.key, identities.c.email))
        of_ana = dict.fromkeys(["u:u1", "a:b1", "a:b2", "d:d1", f"e:{ANA}"], NEW)
        emails = {row.key: row.email for row in found}
    assert emails == {**of_ana, "u:u2": ANA, "a:b3": ANA}


def test_whose_address_changed_is_erased_with_the_old_one(
    drip: DripDeliverer, engine: Engine, clock: Clock
) -> None:
    drip.put(known("i1", ANA))
    drip.drain()
    for name, email in (("i2", NEW), ("i3", LAST)):
        drip.put(known(name, email))
        drip.drain()
    Erasure(engine, LAST, clock, clock.wait).erase()
    with engine.connect() as connection:
        assert connection.scalars(select(identities.c.key)).all() == []
        assert connection.scalars(select(people.c.email)).all() == []
