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
    differences_of,
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


def introduced(email: str) -> Differences:
    """The person goes before their first event, so that an event subscribes nobody."""
    item = {"email": email, "initial_status": "unsubscribed", "user_id": "user-1"}
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
    "actions-track-email-null-falls-back": TIME | introduced("ctx@example.com"),
}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_preset_sends_what_the_destination_of_its_name_sends(vector: dict[str, Any]) -> None:
    options = PRESETS[vector["mode"]]
    if "mapping" in vector["settings"]:
        options = with_mapping(options, vector["settings"]["mapping"])
    assert differences_of(vector, options) == DIFFERENCES.get(vector["name"], {})
