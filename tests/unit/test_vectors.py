"""What Segment's own Drip destinations send for a call, against what the bridge sends.

Whatever differs is in a table, with the number of the rule and the reason; to the letter, so that
nothing else may come to differ.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.support.native_vectors import (
    ALL,
    MODES,
    NOT,
    VECTORS,
    WITHOUT_REQUEST,
    Differences,
    differences_of,
)


class Differs(NamedTuple):
    """Why the bridge sends something else, and what."""

    rules: str
    """Their numbers, or where else it is said."""
    why: str
    differences: Differences


def no_id(user: str = "user-1") -> Differences:
    return {"subscriber.custom_fields.id": (user, NOT)}


def introduced(email: str) -> Differences:
    item = {"email": email, "initial_status": "unsubscribed", "user_id": "user-1"}
    sent = {"path": "POST /v2/2445926/subscribers", **item}
    return {f"subscriber.{name}": (NOT, value) for name, value in sent.items()}


USER: Differences = {"subscriber.user_id": (NOT, "user-1")}

NOW: Differences = {"event.occurred_at": (NOT, "2026-11-02T09:31:07Z")}
"""The time of receipt, because these calls have none of their own."""

ID = "The userId is user_id, which the newer destination has not at all; it is no custom field."

TIME = "The time is sent, or history would land on now."

FIRST = f"{TIME} The person goes first, so that an event subscribes nobody."

ELSEWHERE = "The customer's own mapping says where the values are. The bridge has no such mapping."


def nothing_of(**item: Any) -> Differences:
    """All that the native destination sends, of which the bridge sends nothing."""
    return {f"subscriber.{name.replace('__', '.')}": (value, NOT) for name, value in item.items()}


TABLE: Mapping[str, Differs] = {
    "classic-identify-basic": Differs("2 6", ID, no_id()),
    "classic-identify-tags-timezone-prospect": Differs("2 6", ID, no_id()),
    "classic-identify-userid-is-email": Differs("2 6", ID, no_id("jd@example.com")),
    "classic-identify-key-characters": Differs("2 6", ID, no_id()),
    "classic-engage-audience-identify": Differs("2 6", ID, no_id()),
    "classic-identify-already-subscribed-is-success": Differs(
        "2 6", ID, {"subscriber.custom_fields": ({}, NOT), **no_id()}
    ),
    "classic-identify-new-email": Differs(
        "2 6", ID, {"subscriber.custom_fields": ({}, NOT), **no_id()}
    ),
    "classic-track-basic": Differs("15", TIME, NOW),
    "classic-track-revenue-cents": Differs("15", TIME, NOW),
    "classic-track-property-space": Differs("15", TIME, NOW),
    "classic-track-order-completed-total": Differs("15", TIME, NOW),
    "classic-track-email-precedence": Differs(
        "15 17",
        f"{TIME} An address that is not used is somebody else's, and stays a property.",
        {**NOW, "event.properties.email": (NOT, "prop@example.com")},
    ),
    "classic-client-channel-bundled": Differs(
        "a.5",
        "Ad blockers stop what is bundled, so the bridge sends it by default.",
        {
            "subscriber.path": (NOT, "POST /v2/8838307/subscribers"),
            "subscriber.email": (NOT, "jd@example.com"),
            **USER,
        },
    ),
    "actions-identify-default-mapping": Differs(
        "4 6 7",
        f"{ID} Values keep their types. The phone is a custom field, too.",
        {
            **USER,
            "subscriber.custom_fields.numb": ("1234", 1234),
            "subscriber.custom_fields.bool": ("true", True),
            "subscriber.custom_fields.oppBool": ("false", False),
            "subscriber.custom_fields.phone": (NOT, "1234567890"),
        },
    ),
    "actions-identify-batch-default": Differs(
        "6 22",
        f"{ID} Batches are for when many calls wait.",
        {
            **USER,
            "subscriber.path": (
                "POST /v2/2445926/subscribers/batches",
                "POST /v2/2445926/subscribers",
            ),
        },
    ),
    "actions-identify-batch-custom-mapping": Differs(
        "20",
        ELSEWHERE,
        nothing_of(
            path="POST /v2/2445926/subscribers/batches",
            email="test@example.com",
            ip_address="127.0.0.1",
            initial_status="awaiting_confirmation",
            status="active",
            status_updated_at="2023-01-01T00:00:00Z",
            tags=["vip", "premium"],
            time_zone="UTC",
            custom_fields={},
            custom_fields__plan="premium",
            custom_fields__company="Acme Inc",
        ),
    ),
    "actions-identify-required-only": Differs(
        "20",
        ELSEWHERE,
        nothing_of(path="POST /v2/2445926/subscribers", email="req@example.com"),
    ),
    "actions-identify-all-fields": Differs(
        "20",
        ELSEWHERE,
        nothing_of(
            path="POST /v2/2445926/subscribers",
            email="all@example.com",
            ip_address="33.172.51.152",
            phone="abc",
            initial_status="abc",
            status="abc",
            status_updated_at="2021-02-01T00:00:00.000Z",
            tags=["abc"],
            time_zone="abc",
            custom_fields={},
            custom_fields__testType="abc",
        ),
    ),
    "actions-identify-plain-traits-lost": Differs(
        "2 6 7 8",
        "All traits are sent, and those that are Drip's own fields in their place.",
        {
            **USER,
            "subscriber.first_name": (NOT, "Jane"),
            "subscriber.time_zone": (NOT, "Europe/Paris"),
            "subscriber.custom_fields": (NOT, {}),
            "subscriber.custom_fields.firstName": (NOT, "Jane"),
            "subscriber.custom_fields.plan": (NOT, "pro"),
        },
    ),
    "actions-identify-tags-spaces": Differs(
        "5 6",
        f"{ID} Blank tags are none.",
        {**USER, "subscriber.tags": (["a", "b c", "", ""], ["a", "b c"])},
    ),
    "actions-identify-custom-fields-all-null": Differs("6", ID, USER),
    "actions-track-default-mapping": Differs(
        "15 17 21a",
        f"{FIRST} The address that is used is no property.",
        {
            **NOW,
            **introduced("test@example.com"),
            "event.properties.email": ("test@example.com", NOT),
        },
    ),
    "actions-track-email-precedence": Differs(
        "15 17 21a",
        f"{FIRST} The address that is used is no property.",
        {
            **NOW,
            **introduced("prop@example.com"),
            "event.properties.email": ("prop@example.com", NOT),
        },
    ),
    "actions-track-email-null-falls-back": Differs(
        "15 21a", FIRST, {**NOW, **introduced("ctx@example.com")}
    ),
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_bridge_sends_what_segment_sends_but_for_the_table(vector: dict[str, Any]) -> None:
    entry = TABLE.get(vector["name"])
    expected = entry.differences if entry else {}
    assert differences_of(vector, MODES[vector["mode"]]) == expected, entry and entry.why


def test_the_table_has_no_entry_of_anything_else() -> None:
    assert TABLE.keys() <= {vector["name"] for vector in VECTORS}
    assert [name for name, entry in TABLE.items() if not (entry.differences and entry.rules)] == []


def test_both_server_destinations_are_compared() -> None:
    assert {vector["mode"] for vector in VECTORS} == MODES.keys()
    assert {vector["name"] for vector in ALL} >= WITHOUT_REQUEST
