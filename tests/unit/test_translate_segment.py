"""The message that a call of Segment becomes: its id, its account, and what follows from it."""

import json
from hashlib import sha256
from typing import Any

import pytest

from app.outbox.messages import Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import quarantine, translate

CALL = {"type": "identify", "messageId": "m-1", "traits": {"email": "Ana@Example.com"}}

DEFAULT = DripOptions(default_account="88", campaign_id="77", double_optin=True)


def message_of(
    call: dict[str, Any], account: str = "88", options: DripOptions = DEFAULT
) -> Message:
    found = translate(json.dumps(call).encode(), 1000.5, account, options)
    assert isinstance(found, Message)
    return found


def test_the_message_has_what_the_call_says() -> None:
    message = message_of(CALL)
    assert (message.message_id, message.account, message.collection) == ("m-1", "88", "identify")
    assert (message.email, message.person, message.errors) == ("Ana@Example.com", "", {})
    assert (message.raw, message.received_at) == (json.dumps(CALL).encode(), 1000.5)


def test_joining_a_campaign_follows_from_the_call() -> None:
    message = message_of(CALL)
    (join,) = message.follow_ups
    assert (join.message_id, join.account, join.collection) == ("m-1/campaign", "88", "campaign")
    assert (join.raw, join.email, join.person) == (message.raw, message.email, "")
    assert json.loads(join.payload or "") == {
        "type": "campaign",
        "who": [["email", "Ana@Example.com"]],
        "user_id": None,
        "anonymous_id": None,
        "campaign_id": "77",
        "subscriber": {"reactivate_if_removed": False, "double_optin": True},
        "preset": "bridge",
        "mapping": "Campaign",
        "left_out": {},
    }
    assert message_of(CALL, options=DripOptions()).follow_ups == ()


def test_each_account_has_the_call() -> None:
    assert message_of(CALL, "99").message_id == "m-1:99"
    assert message_of(CALL, "99").follow_ups[0].message_id == "m-1:99/campaign"
    assert message_of(CALL, "99", DripOptions()).message_id == "m-1:99"
    assert message_of(CALL, "", DripOptions()).message_id == "m-1"


@pytest.mark.parametrize("id_", [None, "", " ", "a\nb", "x" * 201, {"a": 1}, True])
def test_without_an_id_the_bytes_are_it(id_: Any) -> None:
    call = {**CALL, "messageId": id_}
    assert message_of(call).message_id == f"segment-{sha256(json.dumps(call).encode()).hexdigest()}"


@pytest.mark.parametrize("id_", ["x" * 200, "ünï-ID ", 12])
def test_an_id_is_kept_as_it_is(id_: Any) -> None:
    assert message_of({**CALL, "messageId": id_}).message_id == str(id_)


def test_an_address_that_may_be_a_friends_is_not_the_callers() -> None:
    track = {"type": "track", "event": "Invited", "userId": "u1", "properties": {"email": "b@c.de"}}
    assert message_of(track).email is None
    assert message_of({**track, "context": {"traits": {"email": "a@b.de"}}}).email == "a@b.de"


def test_what_cannot_be_sent_is_set_aside_for_each_account() -> None:
    broken = {"type": "identify"}
    first, second = message_of(broken), message_of(broken, "99")
    assert first.payload is second.payload is None
    assert (first.person, first.collection, first.follow_ups) == (None, None, ())
    assert first.errors.keys() == {"userId"}
    assert first.message_id != second.message_id
    assert message_of(broken).message_id == first.message_id


def test_a_message_can_be_set_aside_later() -> None:
    aside = quarantine(message_of(CALL), {"body": ["Refused."]})
    assert (aside.payload, aside.errors, aside.follow_ups) == (None, {"body": ["Refused."]}, ())
    assert aside.raw == json.dumps(CALL).encode()


def test_a_payload_has_a_limit() -> None:
    big = {"type": "track", "userId": "u1", "event": "x", "properties": {"text": "é" * 84_000}}
    assert message_of(big).errors == {"body": ["Over 500,000 bytes as a request to Drip."]}
