"""A bridge with a second direction, whose destination takes everything and does nothing."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from app.bridge import bridge_of
from app.config.settings import Settings
from app.delivery.worker import DeliveryWorker
from app.destination import Labels, Limits, RetryPolicy
from app.direction import Direction, build_direction
from app.outbox.found import Description, values_in
from app.outbox.loads import Loads
from app.outbox.messages import Message
from app.outbox.store import Store
from tests.support.builders import message
from tests.support.flask_app import app_over

LABELS = Labels(
    source="Segment",
    destination="Drip",
    account="Drip account",
    key="token",
    set_key="DRIP_API_TOKENS",
    delivered="Drip took it.",
    check_key="DRIP_API_TOKENS",
    sent_again="Segment sends them again for 4 hours.",
    check_source="see whether Segment's destination is still on",
    not_kept="503",
)


class PretendDrip:
    """Drip as a destination: it takes what it is sent, of accounts other than "keyless"."""

    name = "drip"
    limits = Limits(most_messages=1000, most_bytes=1 << 20, largest_message=1 << 19)
    retry = RetryPolicy(give_up_after=48 * 3600.0)
    dedupe_window = 0.0
    labels = LABELS

    def __init__(self) -> None:
        self.sent: list[str] = []

    def key_for(self, account: str) -> str | None:
        """Any account's but one."""
        return None if account == "keyless" else f"token-of-{account}"

    def send(self, key: str, payloads: Sequence[str]) -> str:  # noqa: ARG002
        """Take them."""
        self.sent += payloads
        return ""


def call_to_drip(name: str, payload: Any = None, **changes: Any) -> Message:
    """A message to Drip, of a call that Segment sent."""
    call = {"type": "track", "user_id": "u-9", "event": {"action": f"Did {name}"}}
    return message(
        name, **{"payload": json.dumps(payload or call), "collection": "track", **changes}
    )


def read_body(body: bytes, received_at: float, account: str) -> Message:
    """Any body that is JSON is a message to Drip, with its own text as its id."""
    try:
        json.loads(body)
    except ValueError:
        errors = {"body": ["Not JSON."]}
        return message("raw-x", account=account, payload=None, raw=body, errors=errors)
    return call_to_drip(f"again-{body.decode()}", account=account, received_at=received_at)


def describe(call: Any) -> Description:
    """What it is about is the event's name."""
    words = "\n".join(values_in(call))
    return Description(call.get("user_id"), call.get("event", {}).get("action", ""), words=words)


def build_second(
    _: Settings, engine: Engine, of_webhooks: Engine, loads: Loads | None
) -> Direction:
    """The second direction, with the parts that the first has."""
    drip = PretendDrip()
    store = Store(engine, drip.name)
    delivery = DeliveryWorker(store, drip)
    return build_direction(
        name="segment_to_drip",
        destination=drip,
        delivery=delivery,
        store=store,
        of_webhooks=of_webhooks,
        translate=read_body,
        describe=describe,
        collections=("identify", "track", "campaign", "alias"),
        may_expire=True,
        loads=loads,
    )


@contextmanager
def two_directions(settings: Settings) -> Iterator[Flask]:
    """An app whose bridge has both directions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.bridge.build_segment_to_drip", build_second)
        with app_over(settings) as app:
            yield app


def second_of(app: Flask) -> Direction:
    """The second direction of an app that has two."""
    second = bridge_of(app).segment_to_drip
    assert second
    return second
