"""Whatever Segment posts is a message or ignored, and what is sent is what Drip takes."""

import json
import re
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.outbox.messages import Ignored, Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identity import Memory
from app.segment_to_drip.people.keys import keys_of
from app.segment_to_drip.sending.dry_run import requests_of
from app.segment_to_drip.sending.operations import (
    Operation,
    Person,
    next_operation,
    remember,
    to_request,
)
from app.segment_to_drip.translate import LARGEST_PAYLOAD, translate
from tests.support.any_json import thoroughly, to_body
from tests.support.any_segment import ANA, CALLS, mutated_calls, texts, values
from tests.support.drip_rules import check_request
from tests.support.golden import RECEIVED_AT

ACCOUNT = "8838307"
all_options = st.builds(
    DripOptions,
    initial_status=st.sampled_from(["unsubscribed", "active", "none"]),
    value_unit=st.sampled_from(["cents", "major"]),
    track_email=st.sampled_from(["context", "properties"]),
    allow_resubscribe=st.booleans(),
    campaign_id=st.none() | st.just("999"),
    double_optin=st.none() | st.booleans(),
    skip_device_mode=st.booleans(),
    change_address=st.booleans(),
    default_account=st.sampled_from(["", ACCOUNT]),
)


def assert_kept_or_ignored(body: bytes, options: DripOptions | None = None) -> Message | Ignored:
    """Translate it, and check what may be kept and sent of it."""
    options = options or DripOptions()
    found = translate(body, RECEIVED_AT, ACCOUNT, options)
    assert translate(body, RECEIVED_AT, ACCOUNT, options) == found
    if isinstance(found, Ignored):
        assert found.reason.isprintable()
        return found
    assert found.raw == body
    for message in (found, *found.follow_ups):
        assert message.message_id.isprintable()
        assert 0 < len(message.message_id) <= 240
    if found.payload is None:
        assert found.errors
        assert "fault" not in str(found.errors)
        assert found.person is None
        return found
    for message in (found, *found.follow_ups):
        assert_sent_right(message, options)
    return found


def assert_sent_right(message: Message, options: DripOptions) -> None:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    payload = message.payload or ""
    assert payload.isascii()
    assert len(payload) <= LARGEST_PAYLOAD
    assert not re.search(r"(?<!\\)(\\\\)*\\u0000", payload)
    call = json.loads(payload, parse_constant=refuse)
    json.dumps(call, ensure_ascii=False).encode()  # no half of a pair
    assert call["type"] == message.collection
    assert message.person == ""
    keys_of(call)
    if call["type"] == "alias":
        assert call["previous_id"]
        assert call["user_id"]
        return
    assert call["who"]
    found = Memory({}).find(call)
    assert found.person or found.waits_for
    for request in requests_of(message, ACCOUNT, options):
        problems = check_request(request.path, request.body)
        assert not problems, problems


@given(body=st.binary(max_size=200) | values.map(to_body), options=all_options)
@thoroughly
def test_no_body_is_a_fault_whatever_its_bytes(body: bytes, options: DripOptions) -> None:
    assert_kept_or_ignored(body, options)


@given(call=mutated_calls(), options=all_options)
@thoroughly
def test_no_call_is_a_fault_whatever_is_wrong_with_it(call: Any, options: DripOptions) -> None:
    assert_kept_or_ignored(to_body(call), options)


@given(body=mutated_calls().map(to_body), at=st.integers(0, 1500), bytes_=st.binary(max_size=3))
@thoroughly
def test_no_broken_body_is_a_fault(body: bytes, at: int, bytes_: bytes) -> None:
    assert_kept_or_ignored(body[:at] + bytes_ + body[at + len(bytes_) :])


@given(traits=st.dictionaries(texts, values, max_size=12))
@thoroughly
def test_no_trait_is_a_fault_whatever_its_name(traits: dict[str, Any]) -> None:
    found = assert_kept_or_ignored(to_body({**CALLS[0], "traits": traits}))
    assert isinstance(found, Message)


@given(properties=st.dictionaries(texts, values, max_size=12))
@thoroughly
def test_no_property_is_lost_whatever_its_name(properties: dict[str, Any]) -> None:
    body = to_body({**CALLS[1], "properties": properties})
    found = assert_kept_or_ignored(body)
    assert isinstance(found, Message)
    if found.payload is None:
        return
    call = json.loads(found.payload)
    sent = len(call["event"].get("properties", {}))
    lost = sum(reason.startswith(("A number", "Nested")) for reason in call["left_out"].values())
    came = json.loads(body)["properties"]
    # two things are no loss: the revenue that is the value, and a value that is null
    assert len(came) - 2 <= sent + lost <= len(came) + 1


@given(calls=st.lists(mutated_calls(), min_size=2, max_size=6))
@thoroughly
def test_drip_takes_the_batch_of_one_persons_calls(calls: list[Any]) -> None:
    """Whatever came before of the person, and whatever is merged."""
    options = DripOptions()
    person, operations = Person(), dict[str, list[Operation]]()
    for call in calls:
        found = translate(to_body(call), RECEIVED_AT, ACCOUNT, options)
        if isinstance(found, Ignored) or not found.payload or found.collection == "alias":
            continue
        for message in (found, *found.follow_ups):
            kept = json.loads(message.payload or "")
            operation = next_operation(kept, ANA, person, options)
            if operation is None:
                continue
            person = remember(person, operation)
            operations.setdefault(operation.kind, []).append(operation)
    for kind, of_kind in operations.items():
        parts = [[each] for each in of_kind] if kind == "campaign" else [of_kind]
        for part in parts:
            request = to_request(part, ACCOUNT)
            assert not check_request(request.path, request.body)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["type"])
def test_the_right_calls_are_right(call: dict[str, Any]) -> None:
    found = assert_kept_or_ignored(to_body(call))
    assert isinstance(found, Ignored) == (call["type"] == "page")
    assert isinstance(found, Ignored) or found.payload


def many(text: str, number: int = 10_000) -> dict[str, Any]:
    return {text.format(index): index for index in range(number)}


LARGE = [
    {"traits": {"email": ANA, **many("key {}")}},
    {"traits": {"email": ANA, "custom_fields": many("key{}"), **many("drip_{}", 500)}},
    {"traits": {"email": ANA, **{"a" + sign * 50: 1 for sign in "!?.-+ ,;:/"}}},
    {"traits": {"email": ANA, "tags": [str(index) for index in range(10_000)]}},
    {"type": "track", "event": "x" * 100_000, "properties": many("key {}")},
    {"type": "track", "event": "x", "properties": {"big": "é" * 100_000}},
]


@pytest.mark.parametrize("fields", LARGE)
def test_a_large_call_is_kept(fields: dict[str, Any]) -> None:
    assert_kept_or_ignored(to_body({**CALLS[0], **fields}))


def test_ten_thousand_names_for_one_key_take_no_minutes() -> None:
    names = {"a" + "".join(signs): 1 for signs in _signs(10_000)}
    found = assert_kept_or_ignored(to_body({**CALLS[0], "traits": {"email": ANA, **names}}))
    assert isinstance(found, Message)
    assert found.payload is None  # its report alone is larger than a payload may be
    assert "500,000 bytes" in str(found.errors)


def _signs(number: int) -> list[str]:
    return [f"{index:014b}".replace("0", "-").replace("1", "+") for index in range(number)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb"a\u0000b", "ab"),
        (rb"a\\u0000b", r"a\u0000b"),
        (rb"a\\\u0000b", "a\\b"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\uD83D\uDE00", "\U0001f600"),
        (rb"\ud83dx", "\ufffdx"),
        (rb"\ude00\ud83d", "\ufffd\ufffd"),
        (rb"\ud83d\\ude00", "\ufffd\\ude00"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (b"\xed\xa0\xbd", "\ufffd"),
        ("\ud7ff\u4e00í".encode(), "\ud7ff\u4e00í"),
        (rb"\u00e9\n\"", 'é\n"'),
    ],
)
def test_what_is_no_character_is_replaced(written: bytes, read: str) -> None:
    body = b'{"type":"track","userId":"u","event":"x","properties":{"p":"%s"}}' % written
    found = translate(body, RECEIVED_AT, ACCOUNT, DripOptions())
    assert isinstance(found, Message)
    call = json.loads(found.payload or "")
    assert call["event"]["properties"]["p"] == read
    assert ("body" in call["left_out"]) == ("\ufffd" in read or read in ("ab", "a\\b"))
