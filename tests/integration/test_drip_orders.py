"""Orders and carts, from a call of Segment to Drip."""

import json
from typing import Any

import pytest
from sqlalchemy import Engine

from app.outbox.messages import Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import translate
from tests.support.builders import rows
from tests.support.clock import Clock
from tests.support.drip_delivery import DripDeliverer, identify, track
from tests.support.drip_requests import Reply, refusal
from tests.support.fake_drip_rest import ACCOUNT, FakeDripRest

OPTIONS = DripOptions(orders=True, default_account=ACCOUNT)

ANA = "ana@example.com"
ORDERS = f"POST /v3/{ACCOUNT}/shopper_activity/order"


@pytest.fixture
def drip(engine: Engine, fake: FakeDripRest, clock: Clock) -> DripDeliverer:
    return DripDeliverer(engine, fake, clock)


def bought(message_id: str, event: str = "Order Completed", **properties: Any) -> Message:
    call = {
        "type": "track",
        "messageId": message_id,
        "event": event,
        "properties": {"order_id": "5", "total": 20, **properties},
        "context": {"traits": {"email": ANA}},
    }
    message = translate(json.dumps(call).encode(), 1.7e9, ACCOUNT, OPTIONS)
    assert isinstance(message, Message)
    return message


def states(drip: DripDeliverer) -> dict[str, str]:
    return {name: row.state for name, row in rows(drip.store).items()}


def test_an_order_introduces_its_person(drip: DripDeliverer, fake: FakeDripRest) -> None:
    drip.put(bought("a"), bought("b", "Order Refunded"), track("Seen", ANA))
    drip.drain()
    assert fake.lines() == [ORDERS, ORDERS, f"POST /v2/{ACCOUNT}/events"]
    person = fake.person(ANA)
    assert person.status == "unsubscribed"
    assert person.orders["segment", "5"]["action"] == "refunded"
    assert set(states(drip).values()) == {"sent"}


def test_orders_go_in_the_order_of_their_person_beside_batches(
    drip: DripDeliverer, fake: FakeDripRest, clock: Clock
) -> None:
    drip.put(*(identify(f"i{n}", f"p{n}@example.com") for n in range(150)))
    drip.put(identify("i", ANA), bought("a"), bought("b", "Order Updated", total=30))
    drip.drain()
    clock.now += 601
    drip.drain()
    assert fake.person(ANA).orders["segment", "5"]["grand_total"] == 30
    assert fake.violations == []


def test_what_drip_does_not_take_of_an_order_is_left_out(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    no = refusal(422, "format_error", "Currency is not known", "currency")
    fake.behave = lambda visit: no if "currency" in (visit.body or {}) else None
    drip.put(bought("a", currency="doubloons"))
    drip.drain()
    assert states(drip) == {"a": "sent"}
    assert "currency" not in fake.person(ANA).orders["segment", "5"]


def test_an_order_without_an_answer_says_that_it_may_count_twice(
    drip: DripDeliverer, fake: FakeDripRest
) -> None:
    fake.behave = lambda _: Reply(cut=True)
    drip.put(bought("a"))
    drip.drain()
    assert states(drip) == {"a": "pending"}
    assert "twice" in rows(drip.store)["a"].history


def test_a_number_that_json_has_not_costs_that_attribute_alone() -> None:
    raw = json.dumps(
        {
            "type": "track",
            "event": "Order Completed",
            "properties": {"order_id": "5", "weight": 0},
            "context": {"traits": {"email": ANA}},
        }
    ).replace('"weight": 0', '"weight": 1e999')
    message = translate(raw.encode(), 1.7e9, ACCOUNT, OPTIONS)
    assert isinstance(message, Message)
    kept = json.loads(message.payload or "")
    assert "weight" not in kept["order"]
    assert kept["left_out"] == {"properties.weight": "A number too large for JSON."}
