"""Unsubscribing and deleting people in Drip."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from app.outbox.messages import Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.sent import People
from app.segment_to_drip.sending.delivery import TURN_LEASE
from app.segment_to_drip.translate import translate
from tests.support.builders import rows
from tests.support.clock import Clock
from tests.support.drip_delivery import DripDeliverer, campaign, identify, kept, track
from tests.support.drip_requests import Reply, in_json
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, FakeDripRest

ANA = "ana+x@example.com"
ANAS = f"/v2/{ACCOUNT}/subscribers/ana%2Bx%40example.com"


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    return DripDeliverer(engine, fake, clock)


def leave(name: str, email: str | None = ANA, user: str | None = None, **call: Any) -> Message:
    who = [[kind, value] for kind, value in (("email", email), ("user", user)) if value]
    whole = {"type": "unsubscribe", "who": who, "user_id": user, "anonymous_id": None, **call}
    return kept(name, whole)


def delete(name: str, user: str, by: str) -> Message:
    return leave(name, None, user, type="delete", by=by)


def states(drip: DripDeliverer) -> dict[str, str]:
    return {name: row.state for name, row in rows(drip.store).items()}


def test_a_person_is_unsubscribed_from_all_mail_and_looked_at_again(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i", ANA, subscriber={"initial_status": "active"}), leave("u"))
    drip.put(campaign("c", ANA, CAMPAIGN))
    drip.drain()
    assert fake.person(ANA).status == "unsubscribed"
    # who left joins no campaign
    assert fake.lines()[1:] == [f"POST {ANAS}/unsubscribe_all", f"GET {ANAS}"]
    assert states(drip) == {"i": "sent", "u": "sent", "c": "sent"}


def test_one_who_is_still_active_is_tried_again(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(identify("i", ANA, subscriber={"initial_status": "active"}), leave("u"))
    done = in_json(200, {"links": {}, "subscribers": []})
    fake.behave = lambda visit: done if "unsubscribe_all" in visit.line else None
    drip.drain()
    assert states(drip)["u"] == "pending"
    assert "still active" in rows(drip.store)["u"].history
    fake.behave = lambda _: None
    clock.now += 10
    drip.drain()
    assert states(drip)["u"] == "sent"


def test_a_person_leaves_one_campaign(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(identify("i", ANA), campaign("c", ANA, CAMPAIGN))
    drip.put(leave("u", campaign_id=CAMPAIGN), campaign("d", ANA, CAMPAIGN))
    drip.drain()
    assert fake.lines()[-1] == f"POST {ANAS}/remove?campaign_id={CAMPAIGN}"
    assert fake.person(ANA).campaigns == set()
    assert set(states(drip).values()) == {"sent"}


def test_a_person_whom_drip_does_not_have_is_done(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(leave("u"))
    drip.drain()
    assert states(drip) == {"u": "sent"}
    assert "no such person" in rows(drip.store)["u"].history
    assert "GET /v2/accounts" in fake.lines()  # a 404 may be about the account


@pytest.mark.parametrize("by", ["delete", "unsubscribe"])
def test_a_delete_call_does_what_is_set(drip: DripDeliverer, fake: FakeDripRest, by: str) -> None:
    drip.put(identify("i", ANA, "u1"), delete("d", "u1", by))
    drip.drain()
    assert set(states(drip).values()) == {"sent"}
    if by == "delete":
        assert fake.lines()[-1] == f"DELETE {ANAS}"
        assert fake.people() == {}
    else:
        assert fake.person(ANA).status == "unsubscribed"


def test_of_a_deleted_person_nothing_is_remembered(drip: DripDeliverer, engine: Engine) -> None:
    drip.put(identify("i", ANA, "u1"), delete("d", "u1", "delete"), track("Late", None, "u1"))
    drip.drain()
    assert not People(engine, "drip").load(ACCOUNT, {ANA})[ANA].is_known
    drip.put(track("Later", None, "u1"))
    drip.drain()
    of_person = {name: states(drip)[name] for name in ("Late", "Later")}
    assert of_person == {"Late": "unidentified", "Later": "unidentified"}


def test_deleting_an_unknown_person_is_done_at_once(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(delete("d", "u1", "delete"))
    drip.drain()
    drip.put(identify("i", ANA, "u1"))  # another account of the same person, made later
    drip.drain()
    assert states(drip) == {"d": "sent", "i": "sent"}
    assert list(fake.people()) == [ANA]


def test_a_campaign_that_drip_does_not_have_is_nobodys_success(drip: DripDeliverer) -> None:
    drip.put(identify("i", ANA), leave("known", campaign_id="9"))
    drip.put(leave("unknown", "bo@example.com", campaign_id="9"))
    drip.drain()
    assert states(drip) == {"i": "sent", "known": "dead", "unknown": "sent"}
    assert "campaign's id" in rows(drip.store)["known"].history
    assert "no such person" in rows(drip.store)["unknown"].history


def test_a_campaign_is_looked_at_again_if_drip_does_not_say_whether_it_has_the_person(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    fake.behave = lambda visit: Reply(503) if visit.line.startswith(f"GET {ANAS}") else None
    drip.put(leave("u", campaign_id="9"))
    drip.drain()
    assert states(drip) == {"u": "pending"}


def test_what_comes_after_a_delete_under_another_id_makes_nobody_anew(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i", ANA, "u1", anonymous_id="b1"), identify("j", ANA, "u2"))
    drip.drain()
    drip.put(delete("d", "u1", "delete"), track("t", None, "u2"))
    drip.put(track("at the browser", who=[["anonymous", "b1"]], anonymous_id="b1"))
    drip.drain()
    assert fake.people() == {}
    assert states(drip)["at the browser"] == states(drip)["t"] == "unidentified"


def test_who_comes_back_after_a_delete_is_remembered_again(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    drip.put(identify("i", ANA, "u1"), delete("d", "u1", "delete"), identify("j", ANA, "u1"))
    drip.drain()
    drip.put(track("t", None, "u1"))
    drip.drain()
    assert states(drip)["t"] == "sent"
    assert list(fake.people()) == [ANA]


def test_a_delete_is_done_again_after_a_crash_between_its_answer_and_its_settling(
    engine: Engine, fake: FakeDripRest, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, next_one = (DripDeliverer(engine, fake, clock) for _ in range(2))
    dying.put(identify("i", ANA, "u1"))
    dying.drain()
    dying.put(delete("d", "u1", "delete"))
    monkeypatch.setattr(dying.delivery, "settle_taken", _die)
    with pytest.raises(SystemExit):
        dying.drain()
    assert fake.people() == {}
    clock.now += TURN_LEASE + 1
    next_one.drain()
    assert states(next_one) == {"i": "sent", "d": "sent"}
    assert fake.lines().count(f"DELETE {ANAS}") == 2


def _die(*_: object) -> None:
    raise SystemExit


def test_a_delete_call_is_ignored_unless_it_is_set() -> None:
    call = json.dumps({"type": "delete", "userId": "u1"}).encode()
    ignored = translate(call, 1.0, ACCOUNT, DripOptions())
    taken = translate(call, 1.0, ACCOUNT, DripOptions(delete="delete"))
    assert ignored == ("delete", "delete")
    assert isinstance(taken, Message)
    assert json.loads(taken.payload or "")["by"] == "delete"
