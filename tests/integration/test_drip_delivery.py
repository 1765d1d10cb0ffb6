"""Calls reach Drip, each person's in order and within the limits; nobody is subscribed by
accident."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine, select

from app.database.tables import events, identities, people
from app.outbox.erasure import Erasure
from app.outbox.messages import Message
from app.outbox.turns import Turns
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import translate
from tests.support.builders import NOW, rows
from tests.support.clock import Clock
from tests.support.drip_delivery import (
    HOLD,
    SETTLE,
    DripDeliverer,
    campaign,
    identify,
    kept,
    track,
)
from tests.support.drip_requests import Reply, refusal
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, FakeDripRest, Visit

AT_ONCE = "Too many concurrent requests for the same subscriber"
ANA, BO = "ana@example.com", "bo@example.com"
PEOPLE, EVENTS = f"POST /v2/{ACCOUNT}/subscribers", f"POST /v2/{ACCOUNT}/events"
MANY_PEOPLE, MANY_EVENTS = f"{PEOPLE}/batches", f"{EVENTS}/batches"


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    return DripDeliverer(engine, fake, clock)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def states(drip: DripDeliverer) -> dict[str, str]:
    return {name: row.state for name, row in rows(drip.store).items()}


def actions(fake: FakeDripRest, email: str) -> list[str]:
    return [event["action"] for event in fake.person(email).events]


# one by one


def test_a_person_is_made_known_before_their_first_event(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(track("Seen", ANA, "u1"), track("Bought", ANA, "u1"))
    drip.drain()
    assert fake.lines() == [PEOPLE, EVENTS, EVENTS]
    first = {"email": ANA, "initial_status": "unsubscribed", "user_id": "u1"}
    assert fake.visits[0].body == {"subscribers": [first]}
    assert fake.person(ANA).status == "unsubscribed"
    assert actions(fake, ANA) == ["Seen", "Bought"]
    assert states(drip) == {"Seen": "sent", "Bought": "sent"}


def test_without_an_initial_status_nobody_is_made_known(
    engine: Engine, fake: FakeDripRest, clock: Clock
) -> None:
    drip = DripDeliverer(engine, fake, clock, DripOptions(initial_status="none"))
    drip.put(track("Seen", ANA))
    drip.drain()
    assert fake.lines() == [EVENTS]


def test_calls_of_a_person_keep_their_order(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(identify("i1", ANA, subscriber={"tags": ["a"]}), track("One", ANA))
    drip.put(identify("i2", BO), identify("i3", ANA, once={"remove_tags": ["a"]}))
    drip.put(track("Two", ANA))
    drip.drain()
    of_ana = [visit.line for visit in fake.visits if visit.items[0]["email"] == ANA]
    assert of_ana == [PEOPLE, EVENTS, PEOPLE, EVENTS]
    assert fake.person(ANA).tags == set()


def test_a_call_that_waits_holds_back_its_person_only(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    busy = Reply(status=429, body=json.dumps({"message": AT_ONCE}).encode())
    fake.behave = lambda visit: busy if visit.items[0]["email"] == ANA else None
    drip.put(identify("i1", ANA), track("One", ANA), identify("i2", BO))
    drip.drain()
    assert states(drip) == {"i1": "pending", "One": "pending", "i2": "sent"}
    assert rows(drip.store)["i1"].tries == 0
    fake.behave = lambda _: None
    clock.now += 2
    drip.drain()
    assert set(states(drip).values()) == {"sent"}
    assert actions(fake, ANA) == ["One"]


def test_a_refused_call_is_dead_and_the_next_one_goes(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    no = refusal(422, "email_error", "Email must be a valid email address", "email")
    fake.behave = lambda visit: no if visit.items[0].get("user_id") == "bad" else None
    drip.put(identify("i1", ANA, subscriber={"user_id": "bad"}), track("One", ANA))
    drip.drain()
    assert states(drip) == {"i1": "dead", "One": "sent"}
    assert "valid email" in rows(drip.store)["i1"].error


def test_what_drip_did_not_take_of_a_call_is_kept_with_it(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    no = refusal(422, "sms_error", "Sms number must be a valid US mobile number", "sms_number")
    fake.behave = lambda visit: no if "sms_number" in visit.items[0] else None
    drip.put(identify("i1", ANA, once={"sms_number": "+14155550100", "sms_consent": True}))
    drip.drain()
    assert states(drip) == {"i1": "sent"}
    assert "sms_number" in rows(drip.store)["i1"].history


def test_what_is_sent_once_for_each_value_is_not_sent_again(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    once = {"eu_consent": "granted", "remove_tags": ["x"], "status": "unsubscribed"}
    drip.put(identify("i1", ANA, once=once), identify("i2", ANA, once=once))
    drip.put(identify("i3", ANA, once={**once, "eu_consent": "denied"}))
    drip.drain()
    sent = [visit.items[0] for visit in fake.visits]
    assert sent == [{"email": ANA, **once}, {"email": ANA}, {"email": ANA, "eu_consent": "denied"}]


def test_a_change_of_address_is_made_once(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(identify("i1", ANA, "u1"))
    for name in ("i2", "i3"):
        drip.put(identify(name, ANA, "u1", once={"new_email": BO}))
    drip.put(track("One", None, "u1"))
    drip.drain()
    assert list(fake.people()) == [BO]
    assert actions(fake, BO) == ["One"]


# campaigns


def test_a_campaign_is_joined_once_and_its_refusal_is_its_own(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i1", ANA), campaign("c1", ANA, CAMPAIGN), track("One", ANA))
    drip.put(campaign("c2", ANA, CAMPAIGN), campaign("c3", ANA, "unknown"), track("Two", ANA))
    drip.drain()
    joins = [line for line in fake.lines() if "campaigns" in line]
    assert joins == [
        f"POST /v2/{ACCOUNT}/campaigns/{CAMPAIGN}/subscribers",
        f"POST /v2/{ACCOUNT}/campaigns/unknown/subscribers",
    ]
    assert fake.person(ANA).campaigns == {CAMPAIGN}
    assert states(drip) == {
        **dict.fromkeys(["i1", "c1", "c2", "One", "Two"], "sent"),
        "c3": "dead",
    }


def test_somebody_who_unsubscribed_is_not_put_into_a_campaign(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i1", ANA, once={"status": "unsubscribed"}), campaign("c1", ANA, CAMPAIGN))
    drip.drain()
    assert fake.lines() == [PEOPLE]
    assert states(drip) == {"i1": "sent", "c1": "sent"}


# whose a call is


def test_a_call_waits_for_an_address_and_keeps_its_place(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(track("One", None, "u1"), track("Two", None, "u1"), track("Other", None, "u2"))
    drip.drain()
    assert set(states(drip).values()) == {"unidentified"}
    clock.now += 3_600
    drip.put(identify("i1", ANA, "u1"))
    drip.drain()
    assert actions(fake, ANA) == ["One", "Two"]
    assert states(drip)["Other"] == "unidentified"


def test_a_call_without_an_address_expires_in_time_and_not_before(
    drip: DripDeliverer, clock: Clock
) -> None:
    drip.put(track("One", None, "u1"))
    drip.drain()
    clock.now += HOLD - 1
    assert drip.expiry.step(clock.now) == 0
    clock.now += 1
    drip.put(identify("i1", ANA, "u1"))  # at which nobody has looked: it may bring the address
    assert drip.expiry.step(clock.now) == 0
    drip.drain()
    assert states(drip)["One"] == "sent"

    drip.put(track("Two", None, "u2"))
    drip.drain()
    clock.now += HOLD
    assert drip.expiry.step(clock.now) == 1
    row = rows(drip.store)["Two"]
    assert (row.state, row.settled_at) == ("expired", clock.now)
    assert "address" in row.error


def test_the_oldest_expire_if_too_many_wait(
    drip: DripDeliverer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.segment_to_drip.people.expiry.MOST_UNIDENTIFIED", 2)
    drip.put(*(track(f"t{n}", None, f"u{n}") for n in range(5)))
    drip.drain()
    assert drip.expiry.step(clock.now) == 3
    assert [name for name, state in states(drip).items() if state == "unidentified"] == ["t3", "t4"]


def test_only_the_newest_expired_calls_are_kept(
    drip: DripDeliverer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.segment_to_drip.people.expiry.MOST_EXPIRED", 2)
    for n in range(4):
        drip.put(track(f"t{n}", None, f"u{n}"))
        drip.drain()
        clock.now += HOLD
        assert drip.expiry.run(clock.now) == 1
    assert states(drip) == {"t2": "expired", "t3": "expired"}


def test_an_alias_moves_an_address(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(track("One", None, "u2"), identify("i1", ANA, "u1"))
    drip.put(kept("a1", {"type": "alias", "previous_id": "u1", "user_id": "u2"}))
    drip.drain()
    assert actions(fake, ANA) == ["One"]
    assert set(states(drip).values()) == {"sent"}


@pytest.mark.parametrize("at_once", [True, False])
def test_a_browser_that_others_use_later_was_one_persons_before(
    drip: DripDeliverer, fake: FakeDripRest, at_once: bool
) -> None:
    """It makes no difference whether calls are looked at together, or one after the other."""
    visitor: dict[str, Any] = {"anonymous_id": "browser", "who": [["anonymous", "browser"]]}
    calls = [
        track("Before", **visitor),
        identify("i1", ANA, "u1", anonymous_id="browser"),
        track("Other", None, "u2", anonymous_id="browser"),
        track("After", **visitor),
        identify("i2", BO, "u2", anonymous_id="browser"),
    ]
    for part in [calls] if at_once else [[call] for call in calls]:
        drip.put(*part)
        drip.drain()
    assert actions(fake, ANA) == ["Before"]
    assert actions(fake, BO) == ["Other"]
    assert states(drip)["After"] == "unidentified"


def test_who_is_erased_is_forgotten(drip: DripDeliverer, clock: Clock) -> None:
    drip.put(identify("i1", ANA, "u1"), identify("i2", BO, "u2"), track("One", None, "u1"))
    drip.drain()
    erasure = Erasure(drip.engine, ANA, clock, clock.wait)
    assert erasure.look().total() == 2
    erasure.erase()
    assert not erasure.forget()
    with drip.engine.connect() as connection:
        assert connection.scalars(select(people.c.email)).all() == [BO]
        assert connection.scalars(select(identities.c.key)).all() == ["u:u2"]
        kept = connection.execute(select(events.c.person).where(events.c.state == "erased"))
        assert {row.person for row in kept} == {None}
    drip.put(track("Two", None, "u1"), track("Three", None, "u2"))
    drip.drain()
    assert states(drip)["Two"] == "unidentified"
    assert states(drip)["Three"] == "sent"


# batches


def test_many_people_go_in_batches_and_wait_until_it_is_done(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    people = [f"p{n}@example.com" for n in range(1_500)]
    drip.put(*(identify(f"i-{email}", email) for email in people))
    drip.put(*(track(f"t-{email}", email) for email in people[:300]))
    drip.drain()
    assert fake.lines()[0] == MANY_PEOPLE
    assert len(fake.visits[0].items) == 1_000
    clock.now += SETTLE - 1
    before = len(fake.visits)
    drip.drain()
    early = [visit for visit in fake.visits[before:] if visit.call and visit.call.kind == "event"]
    batched = {item["email"] for item in fake.visits[0].items}
    assert not [item for visit in early for item in visit.items if item["email"] in batched]
    drip.run(2 * SETTLE)
    assert set(states(drip).values()) == {"sent"}
    assert all(actions(fake, email) == [f"t-{email}"] for email in people[:300])


def test_updates_of_one_person_are_merged_in_a_batch(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(200)))
    for name, tags in (("x", ["a"]), ("y", ["b"])):
        drip.put(identify(name, ANA, subscriber={"tags": tags, "user_id": name}))
    drip.drain()
    (visit,) = fake.visits
    (item,) = [item for item in visit.items if item["email"] == ANA]
    assert item == {"email": ANA, "tags": ["a", "b"], "user_id": "y"}


def test_unknown_people_with_events_are_made_known_together_first(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(*(track("Seen", f"p{n}@example.com")._replace(message_id=f"m{n}") for n in range(150)))
    drip.drain()
    assert fake.lines() == [MANY_PEOPLE]
    assert set(states(drip).values()) == {"pending"}
    drip.run(SETTLE + 5)
    assert fake.lines() == [MANY_PEOPLE, MANY_EVENTS]
    assert {person.status for person in fake.people().values()} == {"unsubscribed"}
    assert set(states(drip).values()) == {"sent"}


def test_after_an_outage_a_batch_goes_again_once_drip_would_be_done_with_it(
    engine: Engine, fake: FakeDripRest, clock: Clock
) -> None:
    """Drip may have taken it all the same."""
    # so many that each try may be a batch that is not full
    drip = DripDeliverer(engine, fake, clock, batches_per_hour=200)
    drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(150)))
    fake.behave = lambda _: Reply(503)
    drip.run(6_600, step=150)
    late = {name for name, row in rows(drip.store).items() if row.due_at > clock.now + SETTLE}
    assert late

    fake.behave = lambda _: None
    clock.now += 5  # for which the key rests after a failure
    drip.put(identify("new", ANA))
    drip.drain()
    assert {rows(drip.store)[name].due_at for name in late} == {clock.now + SETTLE}
    drip.run(SETTLE + 5)
    assert set(states(drip).values()) == {"sent"}


def test_a_refused_batch_is_halved_until_the_culprit_is_alone(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    no = refusal(422, "format_error", "User id is not good", "email")

    def refuse(visit: Visit) -> Reply | None:
        return no if any(item.get("user_id") == "bad" for item in visit.items) else None

    fake.behave = refuse
    people = [identify(f"i{n}", f"p{n}@example.com") for n in range(120)]
    drip.put(*people, identify("bad", ANA, subscriber={"user_id": "bad"}))
    drip.run(SETTLE)
    assert states(drip).pop("bad") == "dead"
    assert list(states(drip).values()).count("sent") == 120


def test_nobody_takes_the_turn_in_the_middle_of_a_long_split(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    no = refusal(422, "format_error", "User id is not good", "email")
    taken: list[bool] = []

    def refuse(visit: Visit) -> Reply | None:
        clock.now += 20
        turns = Turns(drip.engine, "drip")
        taken.append(turns.take(ACCOUNT, "another", clock.now, clock.now + 60))
        return no if any(item.get("user_id") == "bad" for item in visit.items) else None

    fake.behave = refuse
    people = [identify(f"i{n}", f"p{n}@example.com") for n in range(130)]
    drip.put(*people, identify("bad", ANA, subscriber={"user_id": "bad"}))
    drip.drain()
    assert len(taken) > 10
    assert not any(taken)


# Engage


def audience(name: str, email: str, is_in: bool) -> Message:
    """An audience as a tag, as the option `tags` has it."""
    change = {"subscriber": {"tags": ["vip"]}} if is_in else {"once": {"remove_tags": ["vip"]}}
    return identify(name, email, "u1", **change, changes_address=False)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in a batch"])
def test_who_leaves_an_audience_again_loses_the_tag_again(
    drip: DripDeliverer, fake: FakeDripRest, together: bool
) -> None:
    drip.put(audience("left", ANA, is_in=False))
    drip.drain()
    drip.put(*(audience(f"change {n}", ANA, is_in=n % 2 == 0) for n in range(4)))
    if together:
        drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(100)))
    drip.run(SETTLE)
    assert fake.person(ANA).tags == set()
    assert fake.lines() == [PEOPLE, MANY_PEOPLE] if together else [PEOPLE] * 5


def test_an_event_of_engage_finds_the_person_up_to_date(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    call = {
        "type": "track",
        "messageId": "m-1",
        "userId": "u1",
        "event": "Audience Entered",
        "properties": {"audience_key": "vip", "vip": True},
        "context": {"traits": {"email": ANA}},
    }
    found = translate(json.dumps(call).encode(), NOW, ACCOUNT, DripOptions(default_account=ACCOUNT))
    assert isinstance(found, Message)
    drip.put(found)
    drip.drain()
    assert fake.lines() == [PEOPLE, EVENTS]
    assert fake.person(ANA).custom_fields == {"vip": True}
    assert states(drip) == {"m-1/identify": "sent", "m-1": "sent"}


def test_each_address_of_a_profile_is_a_person_of_its_own(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    everybody = [ANA, BO, "cy@example.com"]
    calls = [audience(f"in {n}", email, is_in=True) for n, email in enumerate(everybody)]
    drip.put(*calls, track("Bought", user="u1"))
    drip.drain()
    assert [fake.person(email).tags for email in everybody] == [{"vip"}] * 3
    assert [actions(fake, email) for email in everybody] == [["Bought"], [], []]


# limits


def test_the_hours_limits_are_kept_and_nothing_is_lost(engine: Engine, clock: Clock) -> None:
    with FakeDripRest(clock=clock, requests_per_hour=20, batches_per_hour=2) as fake:
        drip = DripDeliverer(engine, fake, clock, requests_per_hour=20, batches_per_hour=2)
        drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(70)))
        drip.drain()
        assert fake.lines() == [PEOPLE] * 20
        drip.run(120)
        assert fake.lines()[20:] == [MANY_PEOPLE]
        assert set(states(drip).values()) == {"sent"}


def test_a_lone_call_waits_for_a_request_without_being_tried_again_and_again(
    engine: Engine, clock: Clock
) -> None:
    with FakeDripRest(clock=clock, requests_per_hour=1, batches_per_hour=2) as fake:
        drip = DripDeliverer(engine, fake, clock, requests_per_hour=1, batches_per_hour=2)
        drip.put(identify("i1", ANA), identify("i2", BO))
        drip.run(3_000, step=60)
        assert states(drip) == {"i1": "sent", "i2": "pending"}
        assert drip.delivery.outcomes == {"sent": 1}
        drip.run(700, step=20)
        assert states(drip) == {"i1": "sent", "i2": "sent"}
        assert fake.lines() == [PEOPLE, PEOPLE]


def test_drips_own_count_is_believed(drip: DripDeliverer, fake: FakeDripRest) -> None:
    fake.limits["requests"] = 3
    drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(5)))
    drip.run(1_200, step=30)
    assert len(fake.visits) < 10
    fake.limits["requests"] = 3_600
    drip.run(700)
    assert set(states(drip).values()) == {"sent"}
    assert all(row.tries == 1 for row in rows(drip.store).values())


def test_a_wrong_token_uses_nothing_up(drip: DripDeliverer, fake: FakeDripRest) -> None:
    fake.tokens[ACCOUNT] = "another"
    drip.put(identify("i1", ANA), track("One", ANA))
    drip.run(600)
    assert states(drip) == {"i1": "pending", "One": "pending"}
    assert {row.tries for row in rows(drip.store).values()} == {0}
    fake.tokens[ACCOUNT] = "an-api-token-0a1b2c3d"
    drip.run(120)
    assert states(drip) == {"i1": "sent", "One": "sent"}


def test_two_deliverers_keep_order_and_limits(
    engine: Engine, fake: FakeDripRest, clock: Clock
) -> None:
    both = [DripDeliverer(engine, fake, clock) for _ in range(2)]
    for n in range(20):
        both[0].put(identify(f"i{n}", ANA, subscriber={"user_id": str(n)}), track(f"t{n}", ANA))
        both[n % 2].drain()
    assert [
        visit.items[0].get("user_id") for visit in fake.visits if "user_id" in visit.items[0]
    ] == [str(n) for n in range(20)]
    assert actions(fake, ANA) == [f"t{n}" for n in range(20)]


def test_a_call_without_an_account_is_the_own_ones(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(identify("i1", ANA)._replace(account=""), track("One", ANA)._replace(account=""))
    drip.drain()
    assert actions(fake, ANA) == ["One"]
    assert {row.account for row in rows(drip.store).values()} == {ACCOUNT}
