"""What to send next for a call, and what is remembered of it."""

from typing import Any

import pytest

from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.sending.answers import AT_NEW_ADDRESS, NOT_APPLIED, new_email_of
from app.segment_to_drip.sending.operations import (
    Operation,
    Person,
    merge,
    next_operation,
    remember,
    to_request,
)

ANA, BO = "ana@example.com", "bo@example.com"

KNOWN = Person(is_known=True)

WHO = [["email", ANA]]

IDS = {"user_id": "u1", "anonymous_id": None}


def identify(subscriber: dict[str, Any] | None = None, **once: Any) -> dict[str, Any]:
    return {"type": "identify", "who": WHO, **IDS, "subscriber": subscriber or {}, "once": once}


def track(who: list[list[str]] = WHO, **properties: Any) -> dict[str, Any]:
    event = {"action": "Paid", "properties": properties, "occurred_at": "2026-11-02T09:30:00Z"}
    return {"type": "track", "who": who, **IDS, "event": event}


def campaign(campaign_id: str = "77", **joining: Any) -> dict[str, Any]:
    return {
        "type": "campaign",
        "who": WHO,
        **IDS,
        "campaign_id": campaign_id,
        "subscriber": {"reactivate_if_removed": False, **joining},
    }


def sent(call: dict[str, Any], person: Person, **options: Any) -> tuple[dict[str, Any], Person]:
    """The item that is sent for the call, and the person once Drip took it."""
    operation = next_operation(call, ANA, person, DripOptions(**options))
    assert operation
    return operation.item, remember(person, operation)


ONCE = [
    ("status", "unsubscribed", "active"),
    ("eu_consent", "granted", "denied"),
    ("new_email", "new@example.com", "newer@example.com"),
    ("sms_number", "+14155550100", "+14155550101"),
]


@pytest.mark.parametrize(("name", "value", "other"), ONCE)
def test_a_field_is_sent_once_for_each_value(name: str, value: Any, other: Any) -> None:
    first, person = sent(identify(**{name: value}), KNOWN)
    again, person = sent(identify({"city": "Bilbao"}, **{name: value}), person)
    changed, person = sent(identify(**{name: other}), person)
    back, person = sent(identify(**{name: value}), person)
    assert [item.get(name) for item in (first, again, changed, back)] == [value, None, other, value]
    assert again == {"email": ANA, "city": "Bilbao"}


def test_values_are_not_remembered_themselves() -> None:
    _, person = sent(identify(new_email="new@example.com"), KNOWN)
    assert person.once.keys() == {"new_email"}
    assert "new@example.com" not in str(person)


def test_an_event_changes_nothing_of_what_is_sent_once() -> None:
    _, person = sent(identify(status="unsubscribed"), KNOWN)
    _, after = sent(track(), person)
    assert after == person


PAIRS = [
    ("status", "unsubscribed", "status_updated_at", "2026-10-01T08:00:00Z"),
    ("sms_number", "+14155550100", "sms_consent", True),
    ("eu_consent", "granted", "eu_consent_message", "I agree."),
]


@pytest.mark.parametrize(("first", "value", "second", "other"), PAIRS)
def test_a_pair_goes_together_if_one_of_it_is_new(
    first: str, value: Any, second: str, other: Any
) -> None:
    both = {first: value, second: other}
    item, person = sent(identify(**both), KNOWN)
    assert item == {"email": ANA, **both}
    item, person = sent(identify(**both), person)
    assert item == {"email": ANA}
    later = {**both, second: "2026-10-02T08:00:00Z"}
    item, person = sent(identify(**later), person)
    assert item == {"email": ANA, **later}


def test_a_tag_is_removed_once_until_it_is_added_again() -> None:
    item, person = sent(identify(remove_tags=["a", "b"]), KNOWN)
    assert item["remove_tags"] == ["a", "b"]
    item, person = sent(identify(remove_tags=["a", "b", "c"]), person)
    assert item["remove_tags"] == ["c"]
    item, person = sent(identify(remove_tags=["b"]), person)
    assert item == {"email": ANA}
    _, person = sent(identify({"tags": ["a"]}), person)
    item, person = sent(identify(remove_tags=["a", "b"]), person)
    assert item["remove_tags"] == ["a"]


def test_the_address_does_not_become_itself() -> None:
    item, person = sent(identify(new_email="Ana@Example.com"), KNOWN)
    assert item == {"email": ANA}
    assert person == KNOWN


def test_somebody_unknown_is_introduced_before_an_event() -> None:
    introduction = next_operation(track(), ANA, Person(), DripOptions())
    assert introduction == Operation(
        "subscriber",
        {"email": ANA, "initial_status": "unsubscribed", "user_id": "u1"},
        introduces=True,
    )
    event = next_operation(track(), ANA, remember(Person(), introduction), DripOptions())
    assert event
    assert (event.kind, event.introduces) == ("event", False)


def test_without_a_status_nobody_is_introduced() -> None:
    event = next_operation(track(), ANA, Person(), DripOptions(initial_status="none"))
    assert event
    assert event.kind == "event"
    assert remember(Person(), event).is_known


def test_an_identify_introduces_by_itself() -> None:
    _, person = sent(identify(), Person())
    item, _ = sent(track(), person)
    assert item["action"] == "Paid"


@pytest.mark.parametrize(
    ("who", "address", "is_own"),
    [
        ([["email", ANA]], ANA, True),
        ([["user", "u1"], ["email", BO]], BO, False),
        ([["user", "u1"], ["email", BO]], ANA, True),
        ([["user", "u1"]], ANA, True),
        ([["user", "u1"], ["email", "Bo@example.com"]], BO, False),
    ],
)
def test_a_friends_address_gets_no_user_id(
    who: list[list[str]], address: str, is_own: bool
) -> None:
    """Found through the userId it is the user's; named after it, it may be anybody's."""
    operation = next_operation(track(who), address, Person(), DripOptions())
    assert operation
    assert ("user_id" in operation.item) == is_own


def test_a_user_id_that_is_the_address_is_sent() -> None:
    call = {**track([["user", BO], ["email", BO]]), "user_id": BO}
    operation = next_operation(call, BO, Person(), DripOptions())
    assert operation
    assert operation.item["user_id"] == BO


def test_the_address_that_is_used_is_no_property() -> None:
    item, _ = sent(track(email=" ANA@example.com", plan="pro"), KNOWN)
    assert item["properties"] == {"plan": "pro"}
    item, _ = sent(track(Email=BO), KNOWN)
    assert item["properties"] == {"Email": BO}
    item, _ = sent(track(email=ANA), KNOWN)
    assert "properties" not in item


def test_a_campaign_is_joined_once() -> None:
    item, person = sent(campaign(double_optin=True), KNOWN)
    assert item == {"email": ANA, "reactivate_if_removed": False, "double_optin": True}
    assert next_operation(campaign(), ANA, person, DripOptions()) is None
    assert next_operation(campaign("78"), ANA, person, DripOptions())


def test_whoever_is_unsubscribed_joins_no_campaign() -> None:
    _, person = sent(identify(status="unsubscribed"), KNOWN)
    assert next_operation(campaign(), ANA, person, DripOptions()) is None
    _, person = sent(identify({"city": "Bilbao"}), person)
    assert next_operation(campaign(), ANA, person, DripOptions()) is None
    _, person = sent(identify(status="active"), person)
    assert next_operation(campaign(), ANA, person, DripOptions())


def test_a_person_with_drips_own_id_is_found_by_it_and_needs_no_introduction() -> None:
    event = next_operation(track(email=ANA), "d:d1", Person(), DripOptions())
    assert event == Operation("event", {"id": "d1", **track(email=ANA)["event"]})
    leaves = next_operation({"type": "delete", "by": "delete"}, "d:d1", Person(), DripOptions())
    assert leaves
    assert to_request([leaves], "7").path == "/v2/7/subscribers/d1"


def test_updates_by_id_are_merged_by_id() -> None:
    items = [{"id": "d1", "city": "Bilbao"}, {"email": ANA}, {"id": "d1", "zip": "48001"}]
    assert merge(items) == [{"id": "d1", "city": "Bilbao", "zip": "48001"}, {"email": ANA}]


def test_the_address_that_was_found_later_counts() -> None:
    call = identify(new_email=ANA) | {"new_email": BO}
    assert sent(call, KNOWN)[0]["new_email"] == BO
    assert "new_email" not in sent(identify(new_email=BO) | {"new_email": ANA}, KNOWN)[0]


@pytest.mark.parametrize(
    ("note", "is_new"),
    [
        ("", True),
        ("city left out: Drip answered length_error", True),
        ("new_email left out: Drip answered email_error", False),
        (AT_NEW_ADDRESS, False),
        (NOT_APPLIED, False),
    ],
)
def test_the_answer_says_whether_the_address_is_new(note: str, is_new: bool) -> None:
    operation = Operation("subscriber", {"email": ANA, "new_email": "Bo@example.com"})
    assert new_email_of(operation, note) == (BO if is_new else None)


def test_one_who_left_before_drip_had_them_does_not_come_as_active() -> None:
    _, left = sent({"type": "unsubscribe", "who": WHO, **IDS}, Person())
    order = {"type": "order", "activity": "order", "order": {"initial_status": "active"}}
    for call in (identify({"initial_status": "active"}), track(), {**order, "who": WHO, **IDS}):
        for setting in ("active", "none"):
            item, person = sent(call, left, initial_status=setting)
            assert item["initial_status"] == "unsubscribed"
            assert person.is_known
    item, _ = sent(identify({"initial_status": "active"}), KNOWN)
    assert item["initial_status"] == "active"
