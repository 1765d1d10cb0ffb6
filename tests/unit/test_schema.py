"""Bytes → event: what JSON files cannot hold. What they can is in golden/."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.drip_to_segment.schema import DripEvent, body_to_event
from app.errors import InvalidPayload, UnsupportedEvent

OPENED: dict[str, Any] = {
    "event": "subscriber.opened_email",
    "occurred_at": "2026-11-02T09:30:00Z",
    "data": {
        "account_id": "4417",
        "subscriber": {"id": "s9x", "email": "josé@example.com", "user_id": "u-81"},
        "properties": {"email_id": "e7"},
    },
}
TEXT = json.dumps(OPENED, ensure_ascii=False)
BODY = TEXT.encode()

EVENT = DripEvent(
    name="subscriber.opened_email",
    account_id="4417",
    subscriber_id="s9x",
    email="josé@example.com",
    user_id="u-81",
    time_zone=None,
    occurred_at=datetime(2026, 11, 2, 9, 30, tzinfo=UTC),
    properties={"email_id": "e7"},
)

NOT_EMAIL_EVENTS = [
    *("created", "deleted", "marked_as_deliverable", "marked_as_undeliverable"),
    *("subscribed_to_email_marketing", "subscribed_to_campaign", "removed_from_campaign"),
    *("completed_campaign", "reactivated", "applied_tag", "removed_tag", "updated_custom_field"),
    *("updated_email_address", "updated_lifetime_value", "updated_time_zone"),
    *("updated_lead_score", "updated_alias", "clicked_trigger_link", "visited_page"),
    *("became_lead", "became_non_prospect", "performed_custom_event"),
]


def with_value(old: bytes, new: bytes) -> bytes:
    """The body with one piece of its JSON replaced."""
    assert BODY.count(old) == 1
    return BODY.replace(old, new)


def errors_of(body: bytes) -> dict[str, list[str]]:
    with pytest.raises(InvalidPayload) as unreadable:
        body_to_event(body)
    return {path: list(messages) for path, messages in unreadable.value.errors.items()}


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        json.dumps(OPENED).encode(),
        json.dumps(OPENED, indent="\t").encode(),
        b"\r\n  " + BODY + b"\n\n",
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
    ],
    ids=["utf-8", "ascii", "indented", "padded", "bom", "16", "16-le", "16-be", "32"],
)
def test_an_event_is_the_same_in_every_encoding_that_json_knows(body: bytes) -> None:
    assert body_to_event(body) == EVENT


@pytest.mark.parametrize("body", [b"", b" ", b"\x00", b"{", BODY[:-1], BODY + b"x", b"a=1&b=2"])
def test_what_is_not_json_is_unreadable_with_its_place(body: bytes) -> None:
    (reason,) = errors_of(body)["body"]
    assert reason.startswith("Not JSON: ")
    assert " at line 1, column " in reason


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
@pytest.mark.parametrize("place", [b'"e7"', b'"u-81"', b'"s9x"', b'"4417"'])
def test_numbers_of_javascript_alone_are_unreadable(constant: bytes, place: bytes) -> None:
    reason = f"Not JSON that can be read: {constant.decode()} is not a JSON value."
    assert errors_of(with_value(place, constant)) == {"body": [reason]}


@pytest.mark.parametrize(
    "body",
    [
        with_value("é".encode(), b"\xe9"),
        with_value("é".encode(), b"\xc3"),
        b"\xff" * 40,
        b'{"\xff',
    ],
)
def test_what_is_in_no_unicode_encoding_is_unreadable(body: bytes) -> None:
    assert errors_of(body) == {"body": ["Not text in UTF-8, UTF-16 or UTF-32."]}


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_what_is_nested_without_end_is_unreadable(opening: bytes) -> None:
    too_deep = {"body": ["JSON, but nested too deeply to be read."]}
    assert errors_of(opening * 100_000) == too_deep
    assert errors_of(with_value(b'"e7"', opening * 100_000)) == too_deep


@pytest.mark.parametrize("place", [b'"e7"', b'"u-81"', b'"s9x"', b'"4417"'])
def test_a_number_of_5000_digits_is_unreadable(place: bytes) -> None:
    (reason,) = errors_of(with_value(place, b"9" * 5000))["body"]
    assert reason.startswith("Not JSON that can be read: Exceeds the limit")


@pytest.mark.parametrize("number", [b"1e400", b"-1e400"])
@pytest.mark.parametrize(
    ("place", "path"),
    [
        (b'"u-81"', "data.subscriber.user_id"),
        ('"josé@example.com"'.encode(), "data.subscriber.email"),
        (b'"s9x"', "data.subscriber.id"),
        (b'"4417"', "data.account_id"),
    ],
)
def test_a_number_beyond_all_numbers_is_nobodys_id(number: bytes, place: bytes, path: str) -> None:
    # read as a float it is infinite: everybody with such an id would be one person, "inf"
    assert list(errors_of(with_value(place, number))) == [path]


def test_the_last_of_duplicate_keys_counts() -> None:
    assert body_to_event(with_value(b'"u-81"', b'"u-1", "user_id": "u-81"')) == EVENT


@pytest.mark.parametrize("name", [b"data.subscriber.user_id", b"subscriber.user_id"])
@pytest.mark.parametrize("place", [b'"event"', b'"account_id"', b'"id"'])
def test_a_name_with_dots_in_it_is_no_path(name: bytes, place: bytes) -> None:
    assert body_to_event(with_value(place, b'"%b": "u-0", %b' % (name, place))) == EVENT


@pytest.mark.parametrize("text", ["\x00", "\ud800", "a\ud83d", "\x1f\x7f", "\U0010ffff"])
def test_any_text_that_json_can_escape_is_text(text: str) -> None:
    event = body_to_event(with_value(b'"e7"', json.dumps(text).encode()))
    assert event.properties == {"email_id": text}


@pytest.mark.parametrize("text", ["\x00", "\ud800", "4417\n", "44 17", "é", "\uff1417", "7" * 65])
def test_an_account_id_is_read_exactly_or_not_at_all(text: str) -> None:
    body = with_value(b'"4417"', json.dumps(text).encode())
    assert errors_of(body) == {"data.account_id": ["Not an account id."]}


@pytest.mark.parametrize(
    "number", ["4417.5", "0.1", "1e300", "9007199254740993.0", "-9007199254740992.0", "1e16"]
)
def test_a_number_that_is_no_one_account_is_not_read_as_one(number: str) -> None:
    """From 2⁵³ on several numbers are read as one; another account's key would be taken."""
    body = with_value(b'"4417"', number.encode())
    assert errors_of(body) == {"data.account_id": ["Not an account id."]}


@pytest.mark.parametrize("number", ["4417", "4417.0", "4417.00", "4.417e3", "44170E-1"])
def test_a_whole_number_is_the_same_however_it_is_written(number: str) -> None:
    assert body_to_event(with_value(b'"4417"', number.encode())) == EVENT
    assert body_to_event(with_value(b'"u-81"', number.encode())).user_id == "4417"
    assert body_to_event(with_value(b'"s9x"', number.encode())).subscriber_id == "4417"


def test_an_address_is_no_account_id() -> None:
    assert errors_of(with_value(b'"4417"', b'"ana@example.com"')) == {
        "data.account_id": ["Not an account id."]
    }


@pytest.mark.parametrize("text", ["4417", "acc_1", "7" * 64])
def test_an_account_id_need_not_be_digits(text: str) -> None:
    body = with_value(b'"4417"', json.dumps(text).encode())
    assert body_to_event(body).account_id == text


@pytest.mark.parametrize("value", [b"null", b"true", b"7", b'"text"', b"[]"])
def test_json_that_is_no_object_is_unreadable(value: bytes) -> None:
    assert errors_of(value) == {"body": ["Not a JSON object."]}


@pytest.mark.parametrize("name", NOT_EMAIL_EVENTS)
def test_drips_other_events_are_not_email_events(name: str) -> None:
    with pytest.raises(UnsupportedEvent) as ignored:
        body_to_event(json.dumps({"event": f"subscriber.{name}"}).encode())
    assert ignored.value.event == f"subscriber.{name}"


def test_drip_documents_22_other_events() -> None:
    assert len(set(NOT_EMAIL_EVENTS)) == 22


@pytest.mark.parametrize("written", ["2026-01-01T00:00:00z", "2026-01-01t00:00:00Z"])
def test_rfc_3339_allows_small_letters_in_a_time(written: str) -> None:
    body = {
        "event": "subscriber.opened_email",
        "occurred_at": written,
        "data": {"account_id": "4417", "subscriber": {"email": "ana@example.com"}},
    }
    assert body_to_event(json.dumps(body).encode()).occurred_at == datetime(2026, 1, 1, tzinfo=UTC)
