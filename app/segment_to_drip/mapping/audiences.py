"""Add to a person what Segment Engage computed of them: audiences and traits. Pure.

Engage sends an audience as an identify call, whose trait of the audience's key is true or false, as
the events `Audience Entered` and `Audience Exited`, or as both. A computed trait is an identify
call or the event `Trait Computed`; its value is null once it lapsed.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from app.segment_to_drip.mapping.building import Part, identify
from app.segment_to_drip.mapping.custom_fields import custom_fields_of
from app.segment_to_drip.mapping.reading import object_in
from app.segment_to_drip.mapping.traits import custom_key, is_custom
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

ENGAGE = "Engage"
"""What takes the place of a mapping's name if an event updates the person."""

_AUDIENCES = ("audience", "journey_step")
"""The classes of computations that people enter and leave."""

_EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "Audience Entered": ("audience", "audience_key"),
        "Audience Exited": ("audience", "audience_key"),
        "Trait Computed": ("trait", "trait_key"),
    }
)
"""Event → the class of what it is about, and the property that names it."""

_CLEARED = ""
"""What clears a custom field. Drip documents neither null nor blank text there. Null may as well
mean "no change"; blank text replaces what was there, and templates print nothing for it."""


class Computed(NamedTuple):
    """One thing that Engage computed of a person."""

    key: str
    value: Any
    """Of an audience: whether the person is in it."""
    is_audience: bool

    @property
    def traits(self) -> dict[str, Any]:
        """It as a trait."""
        return {self.key: self.value}


def computed_of(call: SegmentCall) -> Computed | None:
    """What Engage computed, if it is in the call."""
    values = {"identify": call.traits, "track": call.properties}.get(call.type, {})
    kind, key = _kind_and_key(call)
    if not isinstance(key, str) or not key.strip() or key not in values:
        return None
    value = values[key]
    if kind == "trait":
        return Computed(key, _CLEARED if value is None else value, False)
    is_in = _as_membership(value)
    return Computed(key, is_in, True) if kind in _AUDIENCES and is_in is not None else None


def update_of(
    computed: Computed, call: SegmentCall, received_at: float, options: DripOptions
) -> Part:
    """The person with what was computed, as an identify call would have it."""
    part = identify(call, {"traits": computed.traits}, received_at, options)
    add_computed(part, computed, call, options)
    return part


def add_computed(part: Part, computed: Computed, call: SegmentCall, options: DripOptions) -> None:
    """Add what was computed to a person, whatever the mapping takes of the traits."""
    subscriber = part["subscriber"]
    custom_fields = subscriber.pop("custom_fields", {})
    if computed.is_audience and options.audiences == "tags":
        custom_fields.pop(custom_key(computed.key), None)
    elif is_custom(computed.key):
        custom_fields |= custom_fields_of(call, computed.traits)
    if custom_fields:
        subscriber["custom_fields"] = custom_fields
    if computed.is_audience and options.audiences != "fields":
        _set_tag(subscriber, part["once"], computed)


def _set_tag(subscriber: dict[str, Any], once: dict[str, Any], audience: Computed) -> None:
    added = [tag for tag in subscriber.pop("tags", ()) if tag != audience.key]
    removed = [tag for tag in once.pop("remove_tags", ()) if tag != audience.key]
    (added if audience.value else removed).append(audience.key)
    if added:
        subscriber["tags"] = added
    if removed:
        once["remove_tags"] = removed


def _kind_and_key(call: SegmentCall) -> tuple[Any, Any]:
    """The class and the key of what was computed, as the context has them. Events name the key in
    their properties too, and may come without that context."""
    personas = object_in(call.context, "personas", {})
    kind, named_by = _EVENTS.get(call.event, ("", ""))
    return (
        personas.get("computation_class", kind),
        personas.get("computation_key", call.properties.get(named_by)),
    )


def _as_membership(value: Any) -> bool | None:
    """True or false, also in words: the first version of Journeys writes them."""
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else ""
    return {"true": True, "false": False}.get(word)
