"""Build Drip's orders and carts from Segment's ecommerce events. Pure.

An order or a cart without what Drip needs of it stays an event.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.segment_to_drip.mapping.drip_fields import to_text
from app.segment_to_drip.mapping.event import occurred_at_of
from app.segment_to_drip.mapping.order_fields import (
    OF_CART,
    OF_ORDER,
    TEXTS,
    Names,
    Reader,
    items_of,
)
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

ORDER_ACTIONS: Mapping[str, str] = MappingProxyType(
    {
        "order completed": "placed",
        "completed order": "placed",
        "order updated": "updated",
        "order refunded": "refunded",
        "order cancelled": "canceled",
        "order canceled": "canceled",
        "order fulfilled": "fulfilled",
        "fulfilled order": "fulfilled",
    }
)
"""Name of an event in lower case → Drip's action of the order. Nothing is "paid" by itself."""

CART_EVENTS = frozenset({"cart viewed", "product added", "product removed", "checkout started"})
"""Events that may tell what is in a cart. Drip has no documented endpoint for checkouts."""


STATUSES = frozenset({*ORDER_ACTIONS.values(), "paid"})
"""All that Drip knows."""


class Activity(NamedTuple):
    """What to post to Drip's Shopper Activity API."""

    kind: str
    """"order" or "cart"."""
    item: dict[str, Any]
    """Without the address, which may not be known yet."""


class _Form(NamedTuple):
    """What an order or a cart is made of."""

    kind: str
    amounts: Names
    needed: tuple[str, ...]
    needed_of_item: tuple[str, ...]


_OF_CART_ITEM = ("product_id", "product_variant_id", "name", "price")

_ORDER = _Form("order", OF_ORDER, ("order_id",), ("name",))
_CART = _Form("cart", OF_CART, ("cart_id", "cart_url", "items"), _OF_CART_ITEM)


def activity_of(
    call: SegmentCall, mapped: Mapping[str, Any], received_at: float, options: DripOptions
) -> Activity | None:
    """The order or cart of an event. None if it is about none, or if something is missing that Drip
    needs, which is noted. `mapped` may have the order's status and its provider."""
    name = call.event.lower()
    action = _status(call, mapped) or ORDER_ACTIONS.get(name)
    if not action and name not in CART_EVENTS:
        return None
    form = _ORDER if action else _CART
    left_out: dict[str, str] = {}
    found = _read(call.properties, form, left_out)
    missing = next((each for each in form.needed if each not in found), None)
    if missing:
        if action or "cart_id" in found:  # most events of a product are about no whole cart
            call.left_out[f"properties.{missing}"] = f"Missing: an event, and no {form.kind}."
        return None
    call.left_out.update(left_out)
    if action in ("refunded", "canceled") and "grand_total" in found:
        found.setdefault("refund_amount", found["grand_total"])
    is_careful = options.initial_status == "unsubscribed"
    item = {
        "provider": _provider(call, mapped, options),
        # without one, Drip subscribes the person
        "initial_status": "unsubscribed" if is_careful else "active",
        "action": action or "updated",
        "occurred_at": occurred_at_of(call, received_at),
    }
    return Activity(form.kind, item | found)


def _status(call: SegmentCall, mapped: Mapping[str, Any]) -> str | None:
    given = mapped.get("status")
    if given is None or (isinstance(given, str) and given in STATUSES):
        return given
    call.left_out["fields.status"] = f"None of {', '.join(sorted(STATUSES))}."
    return None


def _read(properties: Mapping[str, Any], form: _Form, left_out: dict[str, str]) -> dict[str, Any]:
    reader = Reader(properties, "properties", left_out)
    found: dict[str, Any] = {**reader.texts(TEXTS), **reader.amounts(form.amounts)}
    products = reader.take("products")
    if items := list(items_of(products, form.needed_of_item, left_out)):
        found["items"] = items
    return found | {name: value for name, value in reader.rest().items() if name not in found}


def _provider(call: SegmentCall, mapped: Mapping[str, Any], options: DripOptions) -> str:
    """Where the order was made, in lower snake case."""
    for given in (mapped.get("provider"), call.properties.get("affiliation")):
        words = re.findall(r"[a-z0-9]+", (to_text(given) or "").lower())
        if words:
            return "_".join(words)[:255]
    return options.order_provider
