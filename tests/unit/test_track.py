"""Event → call: the message id, and the limits of what Segment takes. The rest is in golden/."""

import json
import sys
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.drip_to_segment.schema import DripEvent
from app.drip_to_segment.track import event_to_message, message_id
from app.errors import InvalidPayload

LIMIT = 32 * 1024

EVENT = DripEvent(
    name="subscriber.clicked_email",
    account_id="4417",
    subscriber_id="s9x",
    email="ana@example.com",
    user_id="u-81",
    time_zone="Europe/Madrid",
    occurred_at=datetime(2026, 11, 2, 9, 30, tzinfo=UTC),
    properties={"email_id": "e7", "url": "https://shop.example/", "cart": {"a": 1, "b": [2]}},
)


def call_of(event: DripEvent) -> str:
    payload = event_to_message(event, b"", 0.0).payload
    assert payload is not None
    return payload


def with_properties(**properties: Any) -> DripEvent:
    return EVENT._replace(properties=properties)


def id_of(received_at: float = 0.0, **changes: Any) -> str:
    return message_id(EVENT._replace(**changes), received_at)


def errors_of(event: DripEvent) -> dict[str, list[str]]:
    with pytest.raises(InvalidPayload) as unreadable:
        event_to_message(event, b"", 0.0)
    return {path: list(messages) for path, messages in unreadable.value.errors.items()}


def nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


@pytest.mark.parametrize("name", ["subscriber.opened_email", "subscriber.clicked_email"])
def test_a_further_open_or_click_without_a_time_is_another_one(name: str) -> None:
    without = {"name": name, "occurred_at": None}
    assert id_of(600.0, **without) == id_of(659.9, **without)
    assert id_of(600.0, **without) != id_of(660.0, **without)


@pytest.mark.parametrize(
    "name", ["subscriber.received_email", "subscriber.bounced", "subscriber.unsubscribed_all"]
)
def test_events_that_happen_once_are_the_same_without_a_time(name: str) -> None:
    assert id_of(0.0, name=name, occurred_at=None) == id_of(9e9, name=name, occurred_at=None)


def test_an_open_with_a_time_is_the_same_whenever_it_comes() -> None:
    assert id_of(0.0) == id_of(9e9)


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "ana@new.example"},
        {"email": None},
        {"user_id": "u-82"},
        {"user_id": None},
        {"time_zone": None},
        {"properties": dict(reversed(list(EVENT.properties.items())))},
        {"properties": {**EVENT.properties, "cart": {"b": [2], "a": 1}}},
        {"occurred_at": datetime(2026, 11, 2, 9, 30, 0, 0, UTC)},
    ],
)
def test_the_id_stays_if_profile_or_order_of_keys_changes(
    changes: dict[str, Any],
) -> None:
    assert id_of(**changes) == id_of()


def test_the_time_of_receipt_is_not_in_the_id() -> None:
    undated = EVENT._replace(occurred_at=None)
    first, second = event_to_message(undated, b"", 1.0), event_to_message(undated, b"", 2.0)
    assert first.message_id == second.message_id
    assert json.loads(first.payload or "")["timestamp"] == "1970-01-01T00:00:01.000+00:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "subscriber.opened_email"},
        {"account_id": "4418"},
        {"account_id": None},
        {"subscriber_id": "s9y"},
        {"occurred_at": datetime(2026, 11, 2, 9, 30, 1, tzinfo=UTC)},
        {"occurred_at": datetime(2026, 11, 2, 9, 30, tzinfo=UTC) + timedelta(microseconds=1)},
        {"occurred_at": None},
        {"properties": {}},
        {"properties": {**EVENT.properties, "email_id": "e8"}},
        {"properties": {**EVENT.properties, "email_id": 7}},
        {"properties": {**EVENT.properties, "more": 1}},
        {"properties": {**EVENT.properties, "cart": {"a": 1, "b": [3]}}},
    ],
)
def test_the_id_differs_in_any_identifying_part(changes: dict[str, Any]) -> None:
    assert id_of(**changes) != id_of()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        # the two kinds of unsubscribing feed one collection, and are two events
        (
            {"name": "subscriber.unsubscribed_all", "properties": {}},
            {"name": "subscriber.unsubscribed_from_campaign", "properties": {}},
        ),
        ({"subscriber_id": None}, {"subscriber_id": None, "email": "bo@example.com"}),
        (
            {"subscriber_id": None, "email": None},
            {"subscriber_id": None, "email": None, "user_id": "u-82"},
        ),
    ],
    ids=["kinds of unsubscribing", "known by email only", "known by user_id only"],
)
def test_two_events_or_people_have_two_ids(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert id_of(**first) != id_of(**second)


def test_the_id_is_short_enough_for_segment() -> None:
    assert len(id_of()) < 100


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("é", 6), ("🎉", 12), ("\x00", 6)])
def test_a_call_over_the_limit_as_it_is_sent_is_refused(letter: str, size: int) -> None:
    room = LIMIT - len(call_of(with_properties(email_subject="")))
    # the builder counts one identity that is null, and is not sent
    fits = with_properties(email_subject=letter * ((room - len(', "anonymousId": null')) // size))
    over = with_properties(email_subject=letter * (room // size + 1))

    assert LIMIT - 50 < len(call_of(fits)) <= LIMIT
    assert errors_of(over) == {"body": ["Over 32,768 bytes as a track call, Segment's limit."]}


def test_the_error_of_an_oversize_call_quotes_nothing_of_it() -> None:
    event = with_properties(email_subject="canary " * 10_000)
    with pytest.raises(InvalidPayload) as unreadable:
        event_to_message(event, b"", 0.0)
    told = "".join(traceback.format_exception(unreadable.value))
    assert "canary" not in told
    assert "ana@example.com" not in told


@pytest.mark.parametrize("value", [float("inf"), [float("-inf")], {"deep": [float("nan")]}])
@pytest.mark.parametrize("name", ["email_id", "ip_address", "plan"])
def test_a_number_that_would_cost_the_whole_batch_is_refused(name: str, value: object) -> None:
    beyond = {"data": ["A number beyond what JSON can carry."]}
    assert errors_of(with_properties(**{name: value})) == beyond


@pytest.mark.parametrize("share", [0.6, 1.0], ids=["for the builder", "for JSON"])
def test_what_is_nested_too_deeply_to_be_sent_is_refused(share: float) -> None:
    too_deep = {"data": ["Nested too deeply to be sent."]}
    depth = int(share * sys.getrecursionlimit())
    assert errors_of(with_properties(cart=nested(depth))) == too_deep


@pytest.mark.timeout(5)
def test_many_names_that_become_one_do_not_keep_the_bridge_busy() -> None:
    names = [f"a{chr(letter)}" for letter in range(0xF0000, 0xF0000 + 4000)]
    over = {"body": ["Over 32,768 bytes as a track call, Segment's limit."]}
    assert errors_of(with_properties(**dict.fromkeys(names, 1))) == over


def test_what_is_nested_within_reason_is_sent() -> None:
    call = event_to_message(with_properties(cart=nested(100)), b"", 0.0)
    assert json.loads(call.payload or "")["properties"]["cart"] == nested(100)


@pytest.mark.parametrize("text", ["\x00", "\ud800", "\u2028", "</script>", "🎉"])
def test_a_call_is_kept_in_ascii_and_has_drips_words(text: str) -> None:
    payload = call_of(with_properties(email_subject=text))
    assert payload.isascii()
    assert payload.isprintable()
    assert json.loads(payload)["properties"]["email_subject"] == text


def test_a_call_names_its_account_and_collection() -> None:
    call = event_to_message(EVENT, b"", 0.0)
    assert (call.account, call.collection) == ("4417", "Email Link Clicked")
    assert event_to_message(EVENT._replace(account_id=None), b"", 0.0).account == ""


def test_calls_share_nothing_that_one_could_change_for_the_next() -> None:
    before = event_to_message(EVENT, b"", 0.0)
    event_to_message(with_properties(email_id="other", timestamp=1), b"", 0.0)
    assert event_to_message(EVENT, b"", 0.0) == before
    assert EVENT.properties["url"] == "https://shop.example/"
