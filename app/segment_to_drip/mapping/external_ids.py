"""Find what a call says of its person's ids in other systems. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_LISTS = ("externalIds", "externalId")
"""Segment's name for them in the context, and RudderStack's."""

_DRIPS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""It becomes part of a URL, and may come from a browser."""


def external_ids(context: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """The path and the value of each external id of this type."""
    for name in _LISTS:
        listed = context.get(name)
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and each.get("type") == kind:
                yield f"context.{name}", each.get("id")


def drip_id_in(context: Mapping[str, Any], left_out: dict[str, str]) -> str | None:
    """Drip's own id of the person. What cannot be one is named in `left_out`."""
    for path, value in external_ids(context, "dripId"):
        if isinstance(value, str) and _DRIPS_ID.fullmatch(value.strip()):
            return value.strip()
        left_out[path] = "Not an id of Drip's."
    return None
