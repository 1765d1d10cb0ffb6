"""Whatever Drip posts is kept or ignored, and what is accepted is a correct call."""

import copy
import json
import logging
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NoReturn

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select
from sqlalchemy.engine import make_url

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from app.database.tables import events, whole
from tests.support.any_json import any_text, json_of, places_in, thoroughly, to_body
from tests.support.builders import TOKEN

COLLECTIONS = {
    *("Email Delivered", "Email Opened", "Email Link Clicked", "Email Unsubscribed"),
    *("Email Bounced", "Email Marked as Spam"),
}
DISCARDED_COLUMN = re.compile(
    "id|user_id|anonymous_id|event|event_text|uuid_ts|timestamp|original_timestamp|sent_at"
    "|received_at|context_.*|"
)

EVENT: dict[str, Any] = {
    "event": "subscriber.clicked_email",
    "occurred_at": "2026-11-02T09:30:00Z",
    "data": {
        "account_id": "4417",
        "subscriber": {
            "id": "s9x",
            "email": "ana@example.com",
            "user_id": "u-81",
            "time_zone": "Europe/Madrid",
            "custom_fields": {"plan": "pro"},
            "tags": ["customer"],
        },
        "properties": {
            "delivery_id": "d1",
            "email_id": "e7",
            "email_subject": "Hola",
            "url": "https://shop.example/x?y=1",
            "user_agent": "Mozilla/5.0",
            "ip_address": "203.0.113.7",
            "cart": [{"sku": "a"}],
        },
    },
}

TELLING = [
    *("", " ", "\x00", "\ud800", "\u2028", "0", "null", "İ", "éa b-C", "Field Name", "fieldName"),
    *("subscriber.bounced", "subscriber.created", "2026-11-02", "2026-11-02T09:30:00.5+02:00"),
    *("0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00", "2026-13-01T00:00:00Z"),
    *("event", "data", "occurred_at", "account_id", "subscriber", "subscriber_id", "user_id", "id"),
    *("email", "properties", "link_url", "url", "timestamp", "sent_at", "contextIp", "context_"),
    *("drip_id", "drip_timestamp", "ID", "Sent At", "anonymousId", "messageId", "_schema", "a.b"),
]
INFINITE = {"inf", "-inf"}
"""How Python writes 1e400: as an id, it would make one person of everybody who has it."""

texts = st.sampled_from(TELLING) | any_text.filter(lambda text: text not in INFINITE)
values = json_of(texts)


@st.composite
def mutated_events(draw: st.DrawFn) -> Any:
    """A right event with up to four places replaced, removed or added."""
    event = {"": None, **copy.deepcopy(EVENT)}
    for _ in range(draw(st.sampled_from([1, 1, 2, 4]))):
        holder, key = draw(st.sampled_from(places_in(event)))
        change = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if change == "replace":
            holder[key] = draw(st.sampled_from(["<huge>", "", None, 0]) | values)
        elif change == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(texts)] = draw(values)
        else:
            holder.append(draw(values))
    return event


bodies = (
    st.binary(max_size=200)
    | values.map(to_body)
    | st.tuples(mutated_events().map(to_body), st.integers(0, 400), st.binary(max_size=3)).map(
        lambda parts: parts[0][: parts[1]] + parts[2] + parts[0][parts[1] + len(parts[2]) :]
    )
    | st.tuples(
        mutated_events(), st.sampled_from(["utf-8-sig", "utf-16", "utf-32-be", "latin-1"])
    ).map(lambda parts: to_body(parts[0]).decode(errors="replace").encode(parts[1], "replace"))
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One app for all examples; each finds its table empty."""
    folder = tmp_path_factory.mktemp("fuzz")
    url = make_url(f"sqlite:///{folder}/bridge.db")
    app = create_app(Settings(url, webhook_tokens=(TOKEN,), segment_host="http://127.0.0.1:9"))
    app.test_client().post(f"/webhooks/drip?token={TOKEN}")  # makes the table
    # a line an example would bury the one example that fails
    log = logging.getLogger("app")
    before = log.level
    log.setLevel(logging.ERROR)
    yield app
    log.setLevel(before)
    bridge_of(app).close()


def assert_kept_or_ignored(app: Flask, body: bytes) -> str:
    """Post it to an empty bridge; the status of its answer."""
    with bridge_of(app).engine.begin() as connection:
        connection.execute(delete(events))
    response = app.test_client().post(f"/webhooks/drip?token={TOKEN}", data=body)
    with bridge_of(app).engine.begin() as connection:
        rows = connection.execute(select(whole)).all()

    assert response.status_code == 200
    assert "fault" not in response.get_data(as_text=True)
    status: str = response.get_json()["status"]
    if status == "ignored":
        assert not rows
        assert response.get_json()["event"] not in ("", None)
        return status
    (row,) = rows
    assert row.raw == body
    if status == "accepted":
        assert row.state == "pending"
        assert_segment_takes(row.payload)
    else:
        assert (status, row.state) == ("quarantined", "quarantined")
        assert response.get_json()["errors"]
    return status


def assert_segment_takes(payload: str) -> None:
    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"{constant} is not JSON")

    call = json.loads(payload, parse_constant=refuse)
    assert payload.isascii()
    assert len(payload) <= 32768
    assert call["type"] == "track"
    assert call["event"] in COLLECTIONS
    assert 0 < len(call["messageId"]) < 100
    assert datetime.fromisoformat(call["timestamp"]).utcoffset() is not None
    identities = [call[name] for name in ("userId", "anonymousId") if name in call]
    assert len(identities) == 1
    assert isinstance(identities[0], str)
    assert identities[0].strip()
    assert identities[0] not in INFINITE
    assert not [name for name in call["properties"] if DISCARDED_COLUMN.fullmatch(name)]
    assert None not in call["properties"].values()
    assert call["integrations"] == {"Drip": False, "Drip (Actions)": False}


@given(body=bodies)
@thoroughly
def test_no_body_is_lost_whatever_its_bytes(fuzzed: Flask, body: bytes) -> None:
    assert_kept_or_ignored(fuzzed, body)


@given(event=mutated_events())
@thoroughly
def test_no_event_is_lost_whatever_is_wrong_with_it(fuzzed: Flask, event: Any) -> None:
    assert_kept_or_ignored(fuzzed, to_body(event))


@given(properties=st.dictionaries(texts, values, max_size=12))
@thoroughly
def test_no_property_is_lost_whatever_its_name(fuzzed: Flask, properties: dict[str, Any]) -> None:
    event = copy.deepcopy(EVENT)
    event["data"]["properties"] = properties
    body = to_body(event)
    if assert_kept_or_ignored(fuzzed, body) == "quarantined":
        return
    sent = [value for value in json.loads(body)["data"]["properties"].values() if value is not None]
    with bridge_of(fuzzed).engine.begin() as connection:
        call = json.loads(connection.execute(select(whole)).one().payload)
    ours = {"account_id", "subscriber_id"}
    arrived = [value for name, value in call["properties"].items() if name not in ours]
    arrived += [call["context"][name] for name in ("ip", "userAgent") if name in call["context"]]
    assert len(arrived) == len(sent)


def test_the_right_event_is_accepted(fuzzed: Flask) -> None:
    assert assert_kept_or_ignored(fuzzed, to_body(EVENT)) == "accepted"
