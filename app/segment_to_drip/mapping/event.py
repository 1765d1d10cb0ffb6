"""Build Drip's event from a track call. Pure."""

import json
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from marshmallow import ValidationError

from app.segment_to_drip.mapping.custom_fields import INFINITE
from app.segment_to_drip.mapping.drip_fields import INSTANT, to_seconds
from app.segment_to_drip.mapping.money import as_cents, to_cents
from app.segment_to_drip.mapping.names import free_names
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

LONGEST_ACTION = 255

CLOCK_SKEW = 60.0
"""Seconds that a call may lie in the future without a word. Clocks differ that much."""

_PAID = re.compile(r"order completed|completed order", re.IGNORECASE)
"""The events whose `total` is their revenue if they name none."""


def event_of(
    call: SegmentCall, received_at: float, options: DripOptions, converts: bool = True
) -> dict[str, Any]:
    """Drip's event without the address, which may not be known yet. `converts` is whether the
    revenue becomes the value."""
    event: dict[str, Any] = {"action": _action(call)}
    properties = _properties(call, options, converts)
    if properties:
        event["properties"] = properties
    event["occurred_at"] = occurred_at_of(call, received_at)
    return event


def drop_unwritable(properties: dict[str, Any], left_out: dict[str, str]) -> None:
    """Leave out the properties that cannot be written as JSON, and name them."""
    for name in list(properties):
        try:
            json.dumps(properties[name], allow_nan=False)
        except (ValueError, RecursionError) as error:
            del properties[name]
            deep = isinstance(error, RecursionError)
            left_out[f"properties.{name}"] = "Nested too deeply." if deep else INFINITE


def _action(call: SegmentCall) -> str:
    if len(call.event) <= LONGEST_ACTION:
        return call.event
    call.left_out["event"] = f"Cut to {LONGEST_ACTION} characters."
    return call.event[:LONGEST_ACTION].rstrip()


def _properties(call: SegmentCall, options: DripOptions, converts: bool) -> dict[str, Any]:
    """The properties as they came, but for white space in keys and for the value."""
    names = free_names(call.properties, _key, "properties", call.left_out)
    properties = {names[name]: value for name, value in call.properties.items()}
    is_settled = converts and _revenue_to_value(call, properties)
    if not is_settled and "value" in properties:
        value = properties.pop("value")
        cents = to_cents(value) if options.value_unit == "major" else as_cents(value)
        _set_value(call, properties, value, cents)
    return properties


def _revenue_to_value(call: SegmentCall, properties: dict[str, Any]) -> bool:
    """Whether the revenue is the value now. Otherwise it stays as it came."""
    path = "revenue"
    if _is_blank(properties.get(path)) and _PAID.fullmatch(call.event):
        path = "total"
    if _is_blank(properties.get(path)):
        return False
    cents = to_cents(properties[path])
    if isinstance(cents, str):
        call.left_out[f"properties.{path}"] = f"{cents} It is no value, and stays a property."
        return False
    if path == "revenue":
        del properties["revenue"]
    replaced = properties.pop("value", None)
    if replaced is not None and replaced != cents:
        _set_value(call, properties, replaced, f"The {path} is the value.")
    properties["value"] = cents
    return True


def _is_blank(amount: Any) -> bool:
    return amount is None or (isinstance(amount, str) and not amount.strip())


def _set_value(call: SegmentCall, properties: dict[str, Any], value: Any, cents: int | str) -> None:
    """Set the value to these cents, or keep it beside the one that Drip counts, for this reason."""
    if value is None:
        return
    if isinstance(cents, int):
        properties["value"] = cents
        return
    name = "value_raw"
    while name in properties:
        name += "_"
    properties[name] = value
    call.left_out["properties.value"] = f"{cents} Sent as {name}."


@lru_cache(maxsize=2048)
def _short_key(name: str) -> str:
    return re.sub(r"\s", "_", name)


def _key(name: str) -> str:
    return _short_key(name) if len(name) <= 100 else _short_key.__wrapped__(name)


def occurred_at_of(call: SegmentCall, received_at: float) -> str:
    """When it happened. The time of receipt, if the call does not say, and at the latest: Segment's
    time is in the future if the sender's clock jumped."""
    received = datetime.fromtimestamp(received_at, UTC)
    for path, written in (
        ("timestamp", call.timestamp),
        ("originalTimestamp", call.original_timestamp),
    ):
        if written is None or written == "":
            continue
        try:
            instant = INSTANT.deserialize(written)
        except ValidationError as error:
            call.left_out[path] = str(error.args[0])
            continue
        if instant <= received:
            return to_seconds(instant)
        if (instant - received).total_seconds() > CLOCK_SKEW:
            call.left_out[path] = "In the future. The time of receipt is sent."
        break
    return to_seconds(received)
