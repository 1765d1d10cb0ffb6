"""What many updates of one person are together, and as which request they go."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.segment_to_drip.sending.operations import Operation, Request, merge, to_request
from tests.support.any_json import json_of, thoroughly

ANA, BO = "ana@example.com", "bo@example.com"

SINCE = {"status_updated_at": "2026-10-01T08:00:00Z"}

MERGED: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    ([{"city": "A", "zip": "1"}, {"city": "B"}], {"city": "B", "zip": "1"}),
    (
        [{"custom_fields": {"a": 1, "b": 1}}, {"custom_fields": {"b": 2}}],
        {"custom_fields": {"a": 1, "b": 2}},
    ),
    ([{"tags": ["a", "b"]}, {"tags": ["b", "c"]}, {}], {"tags": ["a", "b", "c"]}),
    ([{"remove_tags": ["a"]}, {"remove_tags": ["b"]}], {"remove_tags": ["a", "b"]}),
    ([{"tags": ["a", "b"]}, {"remove_tags": ["a"]}], {"tags": ["b"], "remove_tags": ["a"]}),
    ([{"remove_tags": ["a", "b"]}, {"tags": ["a"]}], {"remove_tags": ["b"], "tags": ["a"]}),
    ([{"tags": ["a"]}, {"remove_tags": ["a"]}, {"tags": ["a"]}], {"tags": ["a"]}),
    ([{"status": "unsubscribed", **SINCE}, {"status": "active"}], {"status": "active"}),
    ([{"status": "active", **SINCE}, {"zip": "1"}], {"status": "active", **SINCE, "zip": "1"}),
    (
        [{"eu_consent": "denied", "eu_consent_message": "No."}, {"eu_consent": "granted"}],
        {"eu_consent": "granted"},
    ),
]


@pytest.mark.parametrize(("items", "together"), MERGED)
def test_updates_of_one_person_are_one(items: list[dict[str, Any]], together: Any) -> None:
    before = json.dumps(items)
    assert merge([{"email": ANA, **item} for item in items]) == [{"email": ANA, **together}]
    assert json.dumps(items) == before


def test_people_stay_apart_and_in_their_order() -> None:
    items = [{"email": BO, "zip": "1"}, {"email": ANA}, {"email": BO, "zip": "2"}]
    assert merge(items) == [{"email": BO, "zip": "2"}, {"email": ANA}]


tags = st.lists(st.sampled_from("abc"), max_size=3, unique=True)


@given(st.lists(st.tuples(tags, tags), min_size=1, max_size=5))
@thoroughly
def test_merged_tags_leave_the_same_as_one_by_one(
    updates: list[tuple[list[str], list[str]]],
) -> None:
    def applied(items: list[dict[str, Any]]) -> set[str]:
        has = {"a", "b"}
        for item in items:
            assert not set(item.get("tags", ())) & set(item.get("remove_tags", ()))
            has = (has | set(item.get("tags", ()))) - set(item.get("remove_tags", ()))
        return has

    items = [
        {"email": ANA, "tags": [tag for tag in added if tag not in removed], "remove_tags": removed}
        for added, removed in updates
    ]
    assert applied(merge(items)) == applied(items)


def subscriber(email: str = ANA, **fields: Any) -> Operation:
    return Operation("subscriber", {"email": email, **fields})


def test_one_operation_is_a_single_request() -> None:
    request = to_request([subscriber(zip="1")], "88")
    body = {"subscribers": [{"email": ANA, "zip": "1"}]}
    assert request == Request("POST", "/v2/88/subscribers", body, "requests")


def test_several_are_a_batch_with_each_person_once() -> None:
    request = to_request([subscriber(zip="1"), subscriber(BO), subscriber(zip="2")], "88")
    body = {"batches": [{"subscribers": [{"email": ANA, "zip": "2"}, {"email": BO}]}]}
    assert request == Request("POST", "/v2/88/subscribers/batches", body, "batches")


def test_events_of_one_person_stay_apart() -> None:
    paid = Operation("event", {"email": ANA, "action": "Paid"})
    body = {"batches": [{"events": [paid.item, paid.item]}]}
    request = Request("POST", "/v2/88/events/batches", body, "batches")
    assert to_request([paid, paid], "88") == request


def test_a_campaign_has_a_path_of_its_own() -> None:
    joins = Operation("campaign", {"email": ANA}, "77")
    body = {"subscribers": [{"email": ANA}]}
    request = Request("POST", "/v2/88/campaigns/77/subscribers", body, "requests")
    assert to_request([joins], "88") == request


@given(
    st.sampled_from(["subscriber", "event", "campaign"]),
    st.dictionaries(st.text(max_size=5), json_of(st.text(max_size=8)), max_size=4),
    st.text(max_size=8),
    st.booleans(),
)
@thoroughly
def test_an_operation_comes_back_from_its_json(
    kind: Any, item: dict[str, Any], campaign_id: str, introduces: bool
) -> None:
    operation = Operation(kind, item, campaign_id, introduces)
    text = operation.to_json()
    assert text.isascii()
    # compared as JSON, in which not-a-number is itself
    assert Operation.from_json(text).to_json() == text
