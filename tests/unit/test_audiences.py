"""What Engage computed of a person, whatever else is in the call and whatever the mapping is."""

import json
from typing import Any

import pytest

from app.outbox.messages import Message
from app.segment_to_drip.mapping.audiences import Computed, computed_of
from app.segment_to_drip.mapping.mappings import Mappings, compile_mappings, preset
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import call_of
from app.segment_to_drip.translate import translate

KEY = "big_spenders"


def identify(value: Any, kind: Any = "audience", **traits: Any) -> dict[str, Any]:
    return {
        "type": "identify",
        "messageId": "m-1",
        "userId": "u1",
        "traits": {"email": "ana@example.com", KEY: value, **traits},
        "context": {"personas": {"computation_class": kind, "computation_key": KEY}},
    }


def track(event: str, **properties: Any) -> dict[str, Any]:
    context = {"traits": {"email": "ana@example.com"}}
    ids = {"messageId": "m-1", "userId": "u1"}
    return {"type": "track", **ids, "event": event, "properties": properties, "context": context}


def messages_of(call: dict[str, Any], **options: Any) -> dict[str, dict[str, Any]]:
    """The payloads by message id, in the order in which they are kept."""
    message = translate(json.dumps(call).encode(), 1_750_000_000.0, "", DripOptions(**options))
    assert isinstance(message, Message)
    return {each.message_id: json.loads(each.payload or "{}") for each in message.together}


def person_of(call: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What the person gets."""
    (part,) = messages_of(call, **options).values()
    return {**part["subscriber"], **part["once"]}


@pytest.mark.parametrize(
    ("value", "kind", "found"),
    [
        (True, "audience", Computed(KEY, True, True)),
        (" False ", "audience", Computed(KEY, False, True)),
        ("true", "journey_step", Computed(KEY, True, True)),
        (1, "audience", None),
        (None, "audience", None),
        (["true"], "audience", None),
        (450.5, "trait", Computed(KEY, 450.5, False)),
        (None, "trait", Computed(KEY, "", False)),
        (True, "another", None),
        (True, ["audience"], None),
    ],
)
def test_a_membership_is_true_or_false(value: Any, kind: Any, found: Computed | None) -> None:
    assert computed_of(call_of(identify(value, kind))) == found


@pytest.mark.parametrize(
    ("call", "found"),
    [
        (track("Audience Exited", audience_key="a", a=False), Computed("a", False, True)),
        (track("Trait Computed", trait_key="a", a=None), Computed("a", "", False)),
        (track("Audience Entered", audience_key="a"), None),
        (track("Audience Entered", audience_key=["a"], a=True), None),
        (track("Audience Entered", audience_key=" ", **{" ": True}), None),
        (track("Signed Up", audience_key="a", a=True), None),
        ({**identify(True), "context": {"personas": "all"}}, None),
        ({**identify(True), "type": "group"}, None),
    ],
)
def test_an_event_says_it_too(call: dict[str, Any], found: Computed | None) -> None:
    assert computed_of(call_of(call)) == found


def test_an_event_of_another_name_says_it_in_its_context() -> None:
    call = track("Became VIP", **{KEY: True})
    call["context"]["personas"] = identify(True)["context"]["personas"]
    assert computed_of(call_of(call)) == Computed(KEY, True, True)


@pytest.mark.parametrize(
    ("value", "tags", "removed"), [(True, ["a", KEY], []), (False, ["a"], [KEY])]
)
def test_its_tag_joins_the_other_ones(value: bool, tags: list[str], removed: list[str]) -> None:
    others = {"tags": ["a", KEY] if not value else ["a"], "remove_tags": [KEY] if value else []}
    person = person_of(identify(value, **others), audiences="both")
    assert person.get("tags", []) == tags
    assert person.get("remove_tags", []) == removed
    assert person["custom_fields"] == {KEY: value}


def test_without_fields_the_other_custom_fields_stay() -> None:
    person = person_of(identify(True, plan="pro"), audiences="tags")
    assert (person["tags"], person["custom_fields"]) == ([KEY], {"plan": "pro"})


@pytest.mark.parametrize("name", ["classic", "actions"])
def test_presets_have_it_too(name: str) -> None:
    person = person_of(identify("true"), mappings=preset(name), audiences="both")
    assert person["custom_fields"][KEY] is True
    assert person["tags"] == [KEY]


def test_the_person_is_kept_before_the_event_that_keeps_the_id_of_the_call() -> None:
    kept = messages_of(track("Audience Entered", audience_key=KEY, **{KEY: True}))
    assert [(name, part["type"]) for name, part in kept.items()] == [
        ("m-1/identify", "identify"),
        ("m-1", "track"),
    ]
    person, event = kept.values()
    assert person["who"] == event["who"]


def only(name: str, **fields: Any) -> Mappings:
    each = {"name": "One", "trigger": 'type = "track"', "action": name, "fields": fields}
    return compile_mappings("own", {"mappings": [each]})


def test_an_event_that_a_mapping_makes_a_person_needs_no_other() -> None:
    call = track("Audience Entered", audience_key=KEY, **{KEY: True})
    assert person_of(call, mappings=only("identify"))["custom_fields"] == {KEY: True}


def test_what_no_mapping_takes_stays_ignored() -> None:
    options = DripOptions(mappings=only("trackEvent", action="A"))
    body = json.dumps(identify(True)).encode()
    assert not isinstance(translate(body, 0.0, "", options), Message)


def test_what_is_a_field_of_drips_own_alone_is_no_custom_field() -> None:
    call = track("Trait Computed", trait_key="prospect", prospect=False)
    person = messages_of(call)["m-1/identify"]["subscriber"]
    assert (person["prospect"], "custom_fields" in person) == (False, False)


def test_what_engage_says_of_a_person_changes_no_remembered_address() -> None:
    event = track("Audience Entered", audience_key=KEY, **{KEY: True})
    ordinary = {**identify(True), "context": {}}
    marks = {
        name: part.get("changes_address")
        for call in (
            identify(True),
            {**event, "messageId": "m-2"},
            {**ordinary, "messageId": "m-3"},
        )
        for name, part in messages_of(call).items()
    }
    assert marks == {"m-1": False, "m-2/identify": False, "m-2": None, "m-3": None}
