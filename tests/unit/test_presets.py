"""The presets `classic` and `actions` against what Segment's own destinations send.

All that differs is here, with the reason, and stands in docs/destination.md.
"""

from typing import Any

import pytest

from tests.support.native_vectors import (
    NOT,
    PRESETS,
    VECTORS,
    Differences,
    by_place,
    differences_of,
    sent_by_bridge,
    with_mapping,
)

TIME: Differences = {"event.occurred_at": (NOT, "2026-11-02T09:31:07Z")}
"""The time is sent, or history would land on now. These calls have only that of receipt."""

USER: Differences = {"subscriber.user_id": (NOT, "user-1")}
"""The userId is sent, so that Drip's people can be found by it."""

SINGLE: Differences = {
    "subscriber.path": (
        "POST /v2/2445926/subscribers/batches",
        "POST /v2/2445926/subscribers",
    )
}
"""Batches are for when many calls wait."""


def introduced(email: str, **more: str) -> Differences:
    """The person goes before their first event, so that an event subscribes nobody."""
    item = {"email": email, "initial_status": "unsubscribed", **more}
    sent = {"path": "POST /v2/2445926/subscribers", **item}
    return {f"subscriber.{name}": (NOT, value) for name, value in sent.items()}


DIFFERENCES: dict[str, Differences] = {
    "classic-track-basic": TIME,
    "classic-track-revenue-cents": TIME,
    "classic-track-property-space": TIME,
    "classic-track-email-precedence": TIME,
    "classic-track-order-completed-total": TIME,
    # what is bundled may have been stopped by an ad blocker: see DRIP_SKIP_DEVICE_MODE
    "classic-client-channel-bundled": {
        "subscriber.path": (NOT, "POST /v2/8838307/subscribers"),
        "subscriber.email": (NOT, "jd@example.com"),
        "subscriber.user_id": (NOT, "user-1"),
        "subscriber.custom_fields": (NOT, {}),
        "subscriber.custom_fields.id": (NOT, "user-1"),
    },
    "actions-identify-default-mapping": USER,
    "actions-identify-batch-default": USER | SINGLE,
    "actions-identify-batch-custom-mapping": {
        **USER,
        **SINGLE,
        # Drip documents two values
        "subscriber.initial_status": ("awaiting_confirmation", NOT),
    },
    "actions-identify-required-only": USER,
    "actions-identify-all-fields": {
        **USER,
        # what Drip does not take is left out, so that the rest arrives
        "subscriber.initial_status": ("abc", NOT),
        "subscriber.status": ("abc", NOT),
        "subscriber.time_zone": ("abc", NOT),
        # it says since when the status is so, and there is none
        "subscriber.status_updated_at": ("2021-02-01T00:00:00.000Z", NOT),
    },
    "actions-identify-plain-traits-lost": USER,
    # blank tags are none
    "actions-identify-tags-spaces": {
        **USER,
        "subscriber.tags": (["a", "b c", "", ""], ["a", "b c"]),
    },
    "actions-identify-custom-fields-all-null": USER,
    "actions-track-default-mapping": TIME | introduced("test@example.com"),
    "actions-track-email-precedence": TIME | introduced("prop@example.com"),
    "actions-track-email-null-falls-back": TIME | introduced("ctx@example.com", user_id="user-1"),
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_preset_sends_what_the_destination_of_its_name_sends(vector: dict[str, Any]) -> None:
    options = PRESETS[vector["mode"]]
    if "mapping" in vector["settings"]:
        options = with_mapping(options, vector["settings"]["mapping"])
    assert differences_of(vector, options) == DIFFERENCES.get(vector["name"], {})


def sent(preset: str, call: dict[str, Any]) -> dict[str, Any]:
    """What the preset sends for a call, by place."""
    vector = {"settings": {"account": "88"}, "input": {"userId": "7", **call}}
    return by_place(sent_by_bridge(vector, PRESETS[preset]))


def identified(preset: str, **traits: Any) -> dict[str, Any]:
    traits = {"email": "ana@example.com", **traits}
    return sent(preset, {"type": "identify", "traits": traits})


def tracked(preset: str, properties: dict[str, Any], **context: Any) -> dict[str, Any]:
    call = {"type": "track", "event": "Paid", "properties": properties}
    return sent(preset, {**call, "context": {"traits": {"email": "ana@example.com"}, **context}})


def test_classic_has_none_of_the_faults_that_nobody_wants_back() -> None:
    person = identified("classic", prospect=False, tags="a, b", **{"a b": 1, "a_b": 2})
    assert person["subscriber.prospect"] is False
    assert person["subscriber.tags"] == ["a", "b"]
    assert person["subscriber.custom_fields.a_b"] == 2
    assert person["subscriber.custom_fields.a_b_2"] == 1
    assert "subscriber.initial_status" not in person
    assert identified("classic", born="2020-01-02")["subscriber.custom_fields.born"] == "2020-01-02"
    event = tracked("classic", {"one more word": 1, "revenue": "$1,204.50"})
    assert event["event.properties.one_more_word"] == 1
    assert event["event.properties.value"] == 120_450


def test_classic_keeps_names_as_custom_fields_alone() -> None:
    person = identified("classic", firstName="Ana", phone="1", address={"city": "Rome"})
    assert person["subscriber.custom_fields.firstName"] == "Ana"
    assert person["subscriber.custom_fields.address"] == '{"city":"Rome"}'
    assert not person.keys() & {"subscriber.first_name", "subscriber.phone", "subscriber.city"}


def test_actions_has_none_of_the_faults_that_nobody_wants_back() -> None:
    person = identified("actions", tags=["a", "b"], status="active", custom_fields="none")
    assert person["subscriber.tags"] == ["a", "b"]
    assert "subscriber.status" not in person
    assert "subscriber.custom_fields" not in person
    call = {"type": "identify", "traits": {"email": " ana@example.com "}}
    person = sent("actions", {**call, "context": {"ip": "2001:db8::1"}})
    assert person["subscriber.email"] == "ana@example.com"
    assert person["subscriber.ip_address"] == "2001:db8::1"


def test_actions_leaves_the_properties_as_they_are() -> None:
    event = tracked("actions", {"email": "", "revenue": 9.5, "value": 3})
    assert event["event.email"] == "ana@example.com"
    assert event["event.properties.revenue"] == 9.5
    assert event["event.properties.value"] == 3
    assert event["event.properties.email"] == ""
