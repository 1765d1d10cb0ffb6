"""Read one trait as the field of Drip that it is, or name it as left out. Pure."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError

from app.segment_to_drip.mapping.drip_fields import DRIP_FIELDS

Given = dict[str, tuple[str, Any]]
"""Drip's field → path and value of the trait that it comes from."""


def read_one(field: str, path: str, raw: Any, left_out: dict[str, str]) -> Any:
    """The field's value. None if the trait says nothing, or cannot be read, which is noted."""
    try:
        return DRIP_FIELDS[field].deserialize(raw)
    except ValidationError as error:
        left_out[path] = str(error.args[0])
        return error.valid_data or None


def flag_in(mapped: Mapping[str, Any], name: str, left_out: dict[str, str]) -> bool:
    """Whether a field of an action is true. Anything but true and false counts as false, and is
    noted."""
    value = mapped.get(name)
    if value is not None and not isinstance(value, bool):
        left_out[f"fields.{name}"] = "Neither true nor false."
    return value is True


def object_in(mapped: Mapping[str, Any], name: str, left_out: dict[str, str]) -> dict[str, Any]:
    """The JSON object in a field of an action. Anything else counts as none, and is noted."""
    value = mapped.get(name)
    if isinstance(value, dict):
        return value
    if value is not None:
        left_out[f"fields.{name}"] = "Not a JSON object."
    return {}
