"""Nothing goes round for ever when both directions are on.

What came from Segment does not go back there when Drip tells of it. What the bridge itself sent to
Segment does not go to Drip.

Here Segment posts each call that it takes back to the bridge, as it does if Segment's webhook is on
the same source. Drip posts a webhook for each event that it takes, as it does for a custom event.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from app.bridge import bridge_of
from app.config.settings import Settings
from app.drip_to_segment import schema, track
from app.drip_to_segment.mapping import COLLECTIONS
from tests.support.builders import TOKEN
from tests.support.fake_drip_rest import ACCOUNT, FakeDripRest
from tests.support.fake_drip_rest import TOKEN as API_TOKEN
from tests.support.fake_segment import FakeSegment
from tests.support.flask_app import app_over, post
from tests.support.samples import changed
from tests.support.segment_sdks import WRITE_KEY
from tests.support.segment_webhooks import PATH, SECRET, sign

LAPS = 20
"""After so many a chain counts as one without an end."""

FROM_DRIP = changed(b'"4417"', f'"{ACCOUNT}"'.encode())
FROM_SEGMENT = json.dumps(
    {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m1",
        "userId": "u-81",
        "context": {"traits": {"email": "ana@example.com"}},
        "timestamp": "2026-11-02T09:30:00.000Z",
    }
).encode()

CUSTOM = "subscriber.performed_custom_event"


class Circle:
    """Both directions, with Segment and Drip as they are when each tells the bridge of all that it
    took."""

    def __init__(self, app: Flask, segment: FakeSegment, drip: FakeDripRest) -> None:
        self._app = app
        self.segment = segment
        self.drip = drip
        self._calls_told = 0
        self._visits_told = 0

    def from_drip(self, body: bytes) -> None:
        assert post(self._app.test_client(), body).status_code == 200

    def from_segment(self, body: bytes) -> None:
        headers = {"X-Signature": sign(body)}
        answer = self._app.test_client().post(PATH, data=body, headers=headers)
        assert answer.status_code == 200
        assert answer.get_json()["quarantined"] == 0

    def from_sdk(self, calls: list[dict[str, Any]]) -> None:
        """Post calls as an SDK does."""
        batch = {"batch": calls, "sentAt": calls[0]["timestamp"]}
        answer = self._app.test_client().post("/v1/batch", json=batch, auth=(WRITE_KEY, ""))
        assert answer.get_json() == {"success": True}

    def send(self) -> None:
        """Let the bridge send what is due."""
        bridge_of(self._app).deliver_due()

    def laps(self) -> int:
        """How often somebody told of something new until nobody did, counted up to `LAPS`."""
        for lap in range(LAPS):
            if not self._run_lap():
                return lap
        return LAPS

    @property
    def events(self) -> list[dict[str, Any]]:
        """What Drip took."""
        return [
            item
            for visit in self.drip.visits
            if visit.call and visit.call.kind == "event"
            for item in visit.items
        ]

    def _run_lap(self) -> bool:
        """Let the bridge send what is due, and let who took it tell of it. Returns whether there
        was anything."""
        self.send()
        calls = self.segment.calls[self._calls_told :]
        events = self.events[self._visits_told :]
        self._calls_told += len(calls)
        self._visits_told += len(events)
        for call in calls:
            self.from_segment(json.dumps({**call, "receivedAt": call["timestamp"]}).encode())
        for event in events:
            self.from_drip(webhook_of(event))
        return bool(calls or events)


def webhook_of(event: dict[str, Any]) -> bytes:
    """What Drip posts for a custom event."""
    properties = {**event.get("properties", {}), "action": event["action"]}
    subscriber = {"id": "s9x", "email": event["email"], "user_id": "u-81"}
    data = {"account_id": ACCOUNT, "subscriber": subscriber, "properties": properties}
    return json.dumps({"event": CUSTOM, "data": data, "occurred_at": event["occurred_at"]}).encode()


@pytest.fixture
def circle(settings: Settings, engine: Engine, segment: FakeSegment) -> Iterator[Circle]:
    """Over each engine."""
    with FakeDripRest() as drip:
        over = replace(
            settings,
            database_url=engine.url,
            webhook_tokens=(TOKEN,),
            segment_host=segment.url,
            segment_webhook_secrets=(SECRET,),
            tracking_write_keys={WRITE_KEY: ""},
            drip_account_id=ACCOUNT,
            drip_api_token=API_TOKEN,
            drip_api_url=drip.url,
        )
        with app_over(over) as app:
            yield Circle(app, segment, drip)
        assert drip.violations == []


def take_custom_events(patch: pytest.MonkeyPatch) -> None:
    """As if custom events had a place in Segment."""
    for module in (schema, track):
        patch.setattr(module, "COLLECTIONS", {**COLLECTIONS, CUSTOM: "Custom Event"})


def stamp_nothing(patch: pytest.MonkeyPatch) -> None:
    """As if `integrations` said nothing of Drip."""
    patch.setattr(track, "NOT_BACK_TO_DRIP", {})


def name_another(patch: pytest.MonkeyPatch) -> None:
    """As if the context did not name Drip."""
    patch.setattr(track, "INTEGRATION", {**track.INTEGRATION, "name": "Another"})


def have_other_ids(patch: pytest.MonkeyPatch) -> None:
    """As if the ids did not say that they are the bridge's."""
    made = track.message_id
    patch.setattr(track, "message_id", lambda *args: made(*args).removeprefix("drip-"))


GUARDS: list[Callable[[pytest.MonkeyPatch], None]] = [
    take_custom_events,
    stamp_nothing,
    name_another,
    have_other_ids,
]
"""Each takes away one of the guards."""

CUSTOM_GUARD = "no place for custom events"
NAMES = [CUSTOM_GUARD, "integrations", "context", "message id"]

ENDS = {
    ("drip", True): (2, 1, 1),
    ("segment", True): (1, 0, 1),
    ("drip", False): (1, 1, 0),
    ("segment", False): (2, 1, 1),
}
"""Where a chain began, and whether the only guard is that for custom events → its laps, the calls
that Segment took, and the events that Drip took."""


def test_an_email_event_goes_to_segment_only(circle: Circle) -> None:
    circle.from_drip(FROM_DRIP)
    assert circle.laps() == 1
    assert [call["event"] for call in circle.segment.calls] == ["Email Opened"]
    assert circle.drip.visits == []


def test_a_call_goes_to_drip_only(circle: Circle) -> None:
    circle.from_segment(FROM_SEGMENT)
    assert circle.laps() == 1
    assert [event["action"] for event in circle.events] == ["Order Completed"]
    assert circle.segment.calls == []


@pytest.mark.parametrize("guard", [None, *GUARDS[1:]], ids=["none", *NAMES[1:]])
def test_what_the_bridge_sends_ends_where_sdks_post(
    circle: Circle,
    guard: Callable[[pytest.MonkeyPatch], None] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if the bridge was its own Segment, or calls were copied from there. With a guard alone it
    ends; without any, Drip would get it."""
    for other in GUARDS[1:]:
        if other is not guard:
            other(monkeypatch)
    circle.from_drip(FROM_DRIP)
    circle.send()
    assert [call["event"] for call in circle.segment.calls] == ["Email Opened"]
    circle.from_sdk(circle.segment.calls)
    circle.send()
    assert bool(circle.events) is (guard is None)


@pytest.mark.parametrize("origin", ["drip", "segment"])
@pytest.mark.parametrize("guard", GUARDS, ids=NAMES)
def test_each_guard_alone_ends_the_chain(
    circle: Circle,
    guard: Callable[[pytest.MonkeyPatch], None],
    origin: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for other in GUARDS:
        if other is not guard:
            other(monkeypatch)
    begin(circle, origin)
    went = (circle.laps(), len(circle.segment.calls), len(circle.events))
    assert went == ENDS[origin, NAMES[GUARDS.index(guard)] == CUSTOM_GUARD]


@pytest.mark.parametrize("origin", ["drip", "segment"])
def test_without_the_guards_it_would_go_on(
    circle: Circle, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for guard in GUARDS:
        guard(monkeypatch)
    begin(circle, origin)
    assert circle.laps() == LAPS
    assert len(circle.segment.calls) + len(circle.events) == LAPS


def begin(circle: Circle, origin: str) -> None:
    if origin == "drip":
        circle.from_drip(FROM_DRIP)
    else:
        circle.from_segment(FROM_SEGMENT)
