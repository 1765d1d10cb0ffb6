"""Read properties of Segment's ecommerce events as fields of Drip's orders, carts and their items.

Sources: Drip's Shopper Activity API (docs/development/facts.md § 5) and Segment's specification of
ecommerce events, version 2. What cannot be read is left out, and named. Pure.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from app.segment_to_drip.mapping.drip_fields import TEXT, to_text
from app.segment_to_drip.mapping.money import to_amount

Names = Mapping[str, tuple[str, ...]]
"""Drip's name, which counts first → Segment's names of it, in their order."""

OF_ORDER: Names = MappingProxyType(
    {
        "grand_total": ("total", "revenue"),
        "total_discounts": ("discount",),
        "total_taxes": ("tax",),
        "total_shipping": ("shipping",),
        "total_fees": ("fees",),
        "refund_amount": ("refund_amount",),
    }
)
OF_CART: Names = MappingProxyType(
    {"grand_total": ("total", "value", "revenue"), "total_discounts": ("discount",)}
)
OF_ITEM: Names = MappingProxyType(
    {
        "price": ("price",),
        "discounts": ("discount",),
        "taxes": ("tax",),
        "shipping": ("shipping",),
        "fees": ("fees",),
        "total": ("total",),
    }
)
"""Amounts, in major units."""

TEXTS: Names = MappingProxyType(
    {
        "order_id": (),
        "order_public_id": ("order_number",),
        "order_url": (),
        "cart_id": (),
        "cart_url": (),
        "currency": (),
    }
)
TEXTS_OF_ITEM: Names = MappingProxyType(
    {
        "product_id": (),
        "product_variant_id": ("variant_id",),
        "sku": (),
        "name": (),
        "brand": (),
        "product_url": ("url",),
        "image_url": (),
    }
)

RESERVED = frozenset(
    {"provider", "action", "email", "person_id", "initial_status", "occurred_at", "items"}
)
"""Names at Drip that no property may set."""


class Reader:
    """Reads one object, and knows what of it was read."""

    def __init__(self, given: Mapping[str, Any], path: str, left_out: dict[str, str]) -> None:
        self._given = given
        self._path = path
        self._left_out = left_out
        self._read: set[str] = set()

    def texts(self, names: Names) -> dict[str, str]:
        """The texts that are there, by Drip's names."""
        texts = {}
        for drip, name in self._present(names):
            text = (to_text(self._given[name]) or "").strip()
            if text and len(text) <= TEXT.longest:
                texts[drip] = text
            else:
                self.leave_out(name, f"No text of at most {TEXT.longest} characters.")
        return texts

    def amounts(self, names: Names) -> dict[str, float]:
        """The amounts that are there, by Drip's names."""
        amounts = {}
        for drip, name in self._present(names):
            amount = to_amount(self._given[name])
            if isinstance(amount, str):
                self.leave_out(name, amount)
            else:
                amounts[drip] = amount
        return amounts

    def take(self, name: str) -> Any:
        """A value as it is; None if it is not there."""
        self._read.add(name)
        return self._given.get(name)

    def leave_out(self, name: str, reason: str) -> None:
        """Note why a value is not sent."""
        self._left_out[f"{self._path}.{name}"] = reason

    def rest(self) -> dict[str, Any]:
        """What was not read. Drip keeps it as attributes of one's own."""
        return {
            re.sub(r"\s", "_", name): value
            for name, value in self._given.items()
            if name not in self._read | RESERVED and value is not None
        }

    def _present(self, names: Names) -> Iterator[tuple[str, str]]:
        """Drip's name and that of the property, of the first one that is there."""
        for drip, segment in names.items():
            for name in (drip, *segment):
                if self._given.get(name) not in (None, ""):
                    self._read.add(name)
                    yield drip, name
                    break


def items_of(
    products: Any, needed: Iterable[str], left_out: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """The products as items. One without what is needed is left out."""
    for place, product in enumerate(products if isinstance(products, list) else ()):
        path = f"properties.products.{place}"
        if not isinstance(product, dict):
            left_out[path] = "Not a JSON object."
            continue
        item = _item(Reader(product, path, left_out))
        missing = [name for name in needed if name not in item]
        if missing:
            left_out[path] = f"Without {missing[0]}, which Drip needs."
        else:
            yield item


def _item(reader: Reader) -> dict[str, Any]:
    item: dict[str, Any] = {**reader.texts(TEXTS_OF_ITEM), **reader.amounts(OF_ITEM)}
    if "product_id" in item:  # as Drip asks for, of products without variants
        item.setdefault("product_variant_id", item["product_id"])
    quantity = reader.take("quantity")
    if isinstance(quantity, int | float) and quantity == quantity // 1 and quantity >= 0:
        item["quantity"] = int(quantity)
    elif quantity is not None:
        reader.leave_out("quantity", "Not a whole number.")
    given = reader.take("categories") or reader.take("category")
    texts = map(to_text, given if isinstance(given, list) else [given])
    if categories := [text.strip() for text in texts if text and text.strip()]:
        item["categories"] = categories
    return item | {name: value for name, value in reader.rest().items() if name not in item}
