"""Build Drip's custom fields from traits. Pure."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from app.segment_to_drip.mapping.drip_fields import LONGEST_TEXT, to_text
from app.segment_to_drip.mapping.names import free_names
from app.segment_to_drip.mapping.traits import custom_key
from app.segment_to_drip.schema import SegmentCall

LONGEST_JSON = 910
"""Characters of an object or a list as JSON. Other senders to Drip keep to this limit."""

NAMED = ("customFields", "custom_fields")
"""Traits whose own entries are custom fields, as in Segment's Drip (Actions) destination. They win
over other traits."""

INFINITE = "A number too large for JSON."

_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def custom_fields_of(
    call: SegmentCall, traits: Mapping[str, Any], as_text: bool = False
) -> dict[str, Any]:
    """The custom fields of these traits, with their types or all as text. What Drip would refuse is
    left out, and named."""
    given = dict(traits)
    for name in NAMED:
        if isinstance(given.get(name), dict):
            given |= given.pop(name)
    names = free_names(given, custom_key, "traits", call.left_out)
    custom_fields = {}
    for trait, value in given.items():
        if value is None:
            continue
        try:
            plain = _plain(value)
            custom_fields[names[trait]] = _to_text(plain) if as_text else plain
        except _NoField as reason:
            call.left_out[f"traits.{trait}"] = str(reason)
    return custom_fields


class _NoField(Exception):
    """A trait that no custom field can hold."""


def _plain(value: Any) -> Any:
    """Text, number or truth value as it is; a list or an object as JSON."""
    longest = LONGEST_TEXT
    text = value
    if isinstance(value, list | dict):
        value = text = _to_json(value)
        longest = LONGEST_JSON
    elif not isinstance(value, str):
        if isinstance(value, float) and not isfinite(value):
            raise _NoField(INFINITE)
        text = str(value)
    if len(text) > longest:
        raise _NoField(f"Over {longest} characters.")
    return value


def _to_json(value: Any) -> str:
    try:
        return _ENCODER.encode(value)
    except ValueError:
        raise _NoField(INFINITE) from None
    except RecursionError:
        raise _NoField(f"Over {LONGEST_JSON} characters.") from None


def _to_text(value: Any) -> str:
    """A plain value as JavaScript writes it."""
    return str(value).lower() if isinstance(value, bool) else to_text(value) or str(value)
