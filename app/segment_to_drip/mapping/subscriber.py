"""Build Drip's subscriber from an identify call. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from app.segment_to_drip.mapping.actions import TO_DRIP
from app.segment_to_drip.mapping.custom_fields import custom_fields_of
from app.segment_to_drip.mapping.drip_fields import DRIP_FIELDS, LONGEST_TEXT
from app.segment_to_drip.mapping.reading import Given, flag_in, object_in, read_one
from app.segment_to_drip.mapping.status import settle_status
from app.segment_to_drip.mapping.traits import ONCE, address_field, drip_field, is_custom
from app.segment_to_drip.mapping.who import email_key
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

_CONDITIONAL = frozenset(
    {"initial_status", "status", "status_updated_at", "sms_number", "sms_consent"}
)
"""Fields that are sent only under conditions."""


class Subscriber(NamedTuple):
    """Drip's fields of one person, without the address, which may not be known yet."""

    fields: dict[str, Any]
    once: dict[str, Any]
    """Fields that are sent once for each value."""


def subscriber_of(call: SegmentCall, mapped: Mapping[str, Any], options: DripOptions) -> Subscriber:
    """The subscriber of a call. `mapped` are the values of the action's fields. What is left out is
    named in `call.left_out`."""
    call = call._replace(
        traits=object_in(mapped, "traits", call.left_out),
        context=object_in(mapped, "context", call.left_out),
    )
    given, custom = _sort(call)
    _add_mapped(given, mapped)
    values = _read(given, call.left_out)
    _add_address(values, call)
    _add_name(values, call)
    _add_context(values, call)
    _settle_tags(values)
    _settle_sms(values, given, call.left_out)
    settle_status(values, given, custom, call, options)
    if call.user_id is not None:
        values["user_id"] = call.user_id
    custom |= object_in(mapped, "custom_fields", call.left_out)
    as_text = flag_in(mapped, "custom_fields_as_text", call.left_out)
    if custom_fields := custom_fields_of(call, custom, as_text):
        values["custom_fields"] = custom_fields
    once = {name: values.pop(name) for name in ONCE & values.keys()}
    return Subscriber(values, once)


def _sort(call: SegmentCall) -> tuple[Given, dict[str, Any]]:
    """The traits that are Drip's own fields, and those that are custom fields. Some are both."""
    given: Given = {}
    custom: dict[str, Any] = {}
    for trait, value in call.traits.items():
        if value is None or (len(trait) == 5 and _is_email(trait, call)):
            continue
        field = drip_field(trait)
        if is_custom(trait):
            custom[trait] = value
        if field is None:
            continue
        path = f"traits.{trait}"
        if field not in given:
            given[field] = path, value
            continue
        other = path
        if trait == field:  # Drip's own spelling wins
            other, given[field] = given[field][0], (path, value)
        call.left_out[other] = f"{field} is there in another spelling."
    return given, custom


def _add_mapped(given: Given, mapped: Mapping[str, Any]) -> None:
    """Add the fields that the mapping names. They win over the traits."""
    for name, value in mapped.items():
        field = TO_DRIP.get(name, name)
        if field in DRIP_FIELDS and value is not None:
            given[field] = f"fields.{name}", value


def _is_email(trait: str, call: SegmentCall) -> bool:
    """Whether it is the address. Of several spellings one is used, and the others are named."""
    if trait.lower() != "email":
        return False
    if trait != email_key(call.traits):
        call.left_out[f"traits.{trait}"] = "email is there in another spelling."
    return True


def _read(given: Given, left_out: dict[str, str]) -> dict[str, Any]:
    """The values that Drip takes."""
    values: dict[str, Any] = {}
    for field, (path, raw) in given.items():
        if field in _CONDITIONAL:
            continue
        value = read_one(field, path, raw, left_out)
        if value is not None:
            values[field] = value
    return values


def _add_address(values: dict[str, Any], call: SegmentCall) -> None:
    """The parts of the trait `address`, if no trait of their own has them."""
    address = call.traits.get("address")
    if not isinstance(address, dict):
        return
    for key, raw in address.items():
        field = address_field(key)
        if field and field not in values and raw is not None:
            value = read_one(field, f"traits.address.{key}", raw, call.left_out)
            if value is not None:
                values[field] = value


def _add_name(values: dict[str, Any], call: SegmentCall) -> None:
    """The first word of the trait `name` and the rest, if neither has a trait of its own."""
    name = call.traits.get("name")
    if values.keys() & {"first_name", "last_name"} or not isinstance(name, str):
        return
    first, _, last = name.strip().partition(" ")
    parts = {"first_name": first, "last_name": last.strip()}
    values |= {field: part for field, part in parts.items() if 0 < len(part) <= LONGEST_TEXT}


_OF_SERVER = (("timezone", "time_zone"),)
_OF_DEVICE = (*_OF_SERVER, ("ip", "ip_address"))
"""Name in the context → Drip's field."""


def _add_context(values: dict[str, Any], call: SegmentCall) -> None:
    """What Segment's libraries know of the person's device, if no trait says it. The address that
    a server names is often its own."""
    for name, field in _OF_SERVER if call.channel == "server" else _OF_DEVICE:
        raw = call.context.get(name)
        if raw is not None and field not in values:
            value = read_one(field, f"context.{name}", raw, call.left_out)
            if value is not None:
                values[field] = value


def _settle_tags(values: dict[str, Any]) -> None:
    """A tag that is to be removed is not added as well. Browsers send what was added before along
    with what is to be removed now."""
    removed = values.get("remove_tags", ())
    tags = [tag for tag in values.pop("tags", ()) if tag not in removed]
    if tags:
        values["tags"] = tags


def _settle_sms(values: dict[str, Any], given: Given, left_out: dict[str, str]) -> None:
    """A number for text messages goes only with the word of its owner."""
    if "sms_number" not in given:
        if "sms_consent" in given:
            left_out[given["sms_consent"][0]] = "There is no sms_number."
        return
    path = given["sms_number"][0]
    if "sms_consent" not in given:
        left_out[path] = "There is no sms_consent."
        return
    number = read_one("sms_number", *given["sms_number"], left_out)
    consent = read_one("sms_consent", *given["sms_consent"], left_out)
    if number and consent is not None:
        values |= {"sms_number": number, "sms_consent": consent}
    elif number:
        left_out[path] = "There is no sms_consent that can be read."
