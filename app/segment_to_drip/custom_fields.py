"""Build Drip's custom fields from traits. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from app.segment_to_drip.drip_fields import LONGEST_TEXT
from app.segment_to_drip.mapping import custom_key
from app.segment_to_drip.names import free_names
from app.segment_to_drip.schema import SegmentCall

LONGEST_JSON = 910
"""Characters of an object or a list as JSON. Other senders to Drip keep to this limit."""

NAMED = ("customFields", "custom_fields")
"""Traits whose own entries are custom fields, as in Segment's Drip (Actions) destination. They win
over other traits."""

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def custom_fields_of(call: SegmentCall, traits: Mapping[str, Any]) -> dict[str, Any]:
    """The custom fields of these traits. What Drip would refuse is left out, and named."""
    given = dict(traits)
    for name in NAMED:
        if isinstance(given.get(name), dict):
            given |= given.pop(name)
    names = free_names(given, custom_key, "traits", call.left_out)
    custom_fields = {}
    for trait, value in given.items():
        if value is None:
            continue
        plain = _plain(value)
        if plain is None:
            call.left_out[f"traits.{trait}"] = "Longer than Drip takes."
        else:
            custom_fields[names[trait]] = plain
    return custom_fields


def _plain(value: Any) -> Any:
    """Text, number or truth value as it is; a list or an object as JSON. None if it is too long."""
    if isinstance(value, list | dict):
        text = _ENCODER.encode(value)
        return text if len(text) <= LONGEST_JSON else None
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        return None
    return value
