"""A call of an SDK gets what Segment's own API adds, and nothing of it is lost."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.segment_to_drip.receiving.enrichment import Arrival, enrich
from tests.support.any_json import any_text, json_of, thoroughly

AT = "2026-11-02T10:00:00.000Z"
ARRIVAL = Arrival(datetime.fromisoformat(AT).timestamp(), "198.51.100.9", is_browser=True)


def enriched(call: dict[str, Any], shared: dict[str, Any] | None = None) -> dict[str, Any]:
    return enrich(call, shared or {}, ARRIVAL, "new")


@pytest.mark.parametrize(
    ("original", "sent", "corrected"),
    [
        # a clock that is right: three seconds on the way
        ("2026-11-02T09:59:00.250Z", "2026-11-02T09:59:57Z", "2026-11-02T09:59:03.250Z"),
        # a clock that is an hour slow, and one that is a year fast
        ("2026-11-02T08:59:50Z", "2026-11-02T09:00:00Z", "2026-11-02T09:59:50.000Z"),
        ("2027-11-02T09:59:50Z", "2027-11-02T10:00:00Z", "2026-11-02T09:59:50.000Z"),
        # another offset, and none
        ("2026-11-02T10:59:50+01:00", "2026-11-02T10:00:00Z", "2026-11-02T09:59:50.000Z"),
        ("2026-11-02T09:59:50", "2026-11-02T10:00:00", "2026-11-02T09:59:50.000Z"),
        # an import of what happened long ago
        ("2012-12-02T00:30:08.276Z", AT, "2012-12-02T00:30:08.276Z"),
        # before it is sent, it cannot have happened; Segment corrects it all the same
        ("2026-11-02T10:00:05Z", "2026-11-02T10:00:00Z", "2026-11-02T10:00:05.000Z"),
        # what cannot be corrected stays
        ("2026-11-02T09:30:00Z", None, "2026-11-02T09:30:00Z"),
        ("2026-11-02T09:30:00Z", "", "2026-11-02T09:30:00Z"),
        ("2026-11-02T09:30:00Z", "soon", "2026-11-02T09:30:00Z"),
        ("2026-11-02T09:30:00Z", 1730540000, "2026-11-02T09:30:00Z"),
        ("yesterday", AT, "yesterday"),
        ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        # no time of its own
        (None, AT, AT),
        ("", AT, AT),
    ],
)
def test_the_time_is_corrected_by_the_senders_clock(
    original: str | None, sent: Any, corrected: str
) -> None:
    for found in (
        enriched({"timestamp": original, "sentAt": sent}),
        enriched({"originalTimestamp": original, "sentAt": sent}),
        enriched({"timestamp": original, "sentAt": None}, {"sentAt": sent}),
    ):
        assert found["timestamp"] == corrected
        assert found["receivedAt"] == AT
        assert (found.get("originalTimestamp") or None) == (original or None)


def test_the_time_of_a_call_counts_over_that_of_its_batch() -> None:
    call = {"timestamp": "2026-11-02T08:00:00Z", "sentAt": "2026-11-02T09:00:00Z"}
    found = enriched(call, {"sentAt": AT})
    assert found["timestamp"] == "2026-11-02T09:00:00.000Z"


def test_what_is_there_stays_and_the_write_key_goes() -> None:
    call = {"type": "track", "messageId": "m1", "writeKey": "canary", "context": {"ip": "::1"}}
    assert enriched(call) == {
        "type": "track",
        "messageId": "m1",
        "context": {"ip": "::1"},
        "timestamp": AT,
        "receivedAt": AT,
    }


@pytest.mark.parametrize("given_id", [{}, {"messageId": None}, {"messageId": ""}])
def test_a_call_without_an_id_gets_one(given_id: dict[str, Any]) -> None:
    assert enriched(given_id)["messageId"] == "api-new"


@pytest.mark.parametrize("context", [None, {}, {"ip": ""}, {"ip": None}])
def test_an_address_is_added_if_there_is_none(context: Any) -> None:
    assert enriched({"context": context})["context"]["ip"] == "198.51.100.9"


@pytest.mark.parametrize("context", ["x", [1], 3])
def test_a_context_that_is_none_stays(context: Any) -> None:
    assert enriched({"context": context}, {"context": {"locale": "en"}})["context"] == context


names = st.sampled_from(
    ["context", "integrations", "timestamp", "originalTimestamp", "sentAt", "messageId", "writeKey"]
)
calls = st.dictionaries(names | any_text, json_of(any_text))
OF_ENRICHMENT = {
    "writeKey",
    "messageId",
    "context",
    "integrations",
    "timestamp",
    "originalTimestamp",
    "receivedAt",
}


@thoroughly
@given(calls, calls)
def test_no_call_makes_it_fail(call: dict[str, Any], shared: dict[str, Any]) -> None:
    found = enrich(call, shared, Arrival(datetime.now(UTC).timestamp(), "", False), "new")
    assert found["receivedAt"]
    for name in call.keys() - OF_ENRICHMENT:
        assert call[name] in (None, found.get(name))
