"""Each field of a call: where it went, or why it did not."""

import json
from typing import Any

import pytest

from app.inspector.trace import NotTraceable
from app.inspector.trace_call import trace_call
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.translate import translate
from tests.support.builders import NOW

OPTIONS = DripOptions()


def ways(call: Any) -> dict[str, tuple[tuple[str, ...], str]]:
    raw = call if isinstance(call, bytes) else json.dumps(call).encode()
    traces = trace_call(raw, lambda body: translate(body, NOW, "", OPTIONS))
    return {trace.source: (trace.targets, trace.change) for trace in traces}


IDENTIFY = {
    "type": "identify",
    "userId": "u1",
    "traits": {
        "email": "ana@example.com",
        "firstName": "Ana",
        "plan": "pro",
        "cost.center": 7,
        "none": None,
        "time_zone": "Mars/Olympus",
        "new_email": "ana@new.example",
        "long": "x" * 1_001,
    },
    "context": {"timezone": "Europe/Madrid", "locale": "en"},
}


def test_each_field_of_an_identify_call_has_its_way() -> None:
    found = ways(IDENTIFY)
    assert found["traits.plan"] == (("custom_fields.plan",), "unchanged")
    assert found["traits.firstName"][0] == ("first_name", "custom_fields.firstName")
    assert found['traits["cost.center"]'] == (("custom_fields.cost_center",), "renamed")
    assert found["traits.none"] == ((), "left out: null")
    assert found["traits.time_zone"] == ((), "left out: Not a time zone.")
    assert found["traits.new_email"][0] == ("new_email",)
    assert found["traits.long"] == ((), "left out: Over 1000 characters.")
    assert found["context.timezone"] == (("time_zone",), "renamed")
    assert found["context.locale"] == ((), "not sent: Drip has no place for it")
    assert found["userId"] == (("user_id",), "renamed")
    assert found["type"] == ((), "decides what becomes of the whole call")
    assert found["traits.email"][0] == ("email",)


def test_drips_own_id_counts_without_an_address() -> None:
    external = {"externalIds": [{"type": "dripId", "id": "z1tog"}]}
    call = {"type": "track", "event": "Paid", "context": external}
    assert ways(call)["context.externalIds[0].id"][0] == ("id",)
    named = {**external, "traits": {"email": "ana@example.com"}}
    assert ways(call | {"context": named})["context.externalIds[0].id"][0] == ()


def test_each_property_of_an_order_has_its_way() -> None:
    properties = {"order_id": 5, "total": "20.00", "coupon": "x", "products": [{"name": "Uno"}]}
    call = {**IDENTIFY, "type": "track", "event": "Order Completed", "properties": properties}
    options = DripOptions(orders=True)
    traces = trace_call(json.dumps(call).encode(), lambda body: translate(body, NOW, "", options))
    found = {trace.source: trace.targets for trace in traces}
    assert "order_id" in found["properties.order_id"]  # without it, it is no order
    assert found["properties.total"] == ("grand_total",)
    assert found["properties.coupon"] == ("coupon",)
    assert found["properties.products[0].name"] == ("items[0].name",)


def test_each_property_of_a_track_call_has_its_way() -> None:
    found = ways(
        {
            "type": "track",
            "event": "Paid",
            "userId": "u1",
            "properties": {"revenue": 19.99, "gift wrap": True, "products": [{"sku": "a"}]},
        }
    )
    assert found["properties.revenue"] == (("properties.value",), "reformatted")
    assert found["event"] == (("action",), "renamed")
    assert found["properties.gift wrap"] == (("properties.gift_wrap",), "renamed")
    assert found["properties.products[0].sku"] == (("properties.products[0].sku",), "unchanged")


@pytest.mark.parametrize("body", [b"{", b'{"type": "page"}', b'{"type": "track"}'])
def test_what_sends_nothing_has_no_ways(body: bytes) -> None:
    with pytest.raises(NotTraceable):
        ways(body)
