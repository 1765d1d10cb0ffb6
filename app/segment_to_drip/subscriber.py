"""Build Drip's subscriber from an identify call. Pure."""

from typing import Any, NamedTuple

from marshmallow import ValidationError

from app.segment_to_drip.custom_fields import custom_fields_of
from app.segment_to_drip.drip_fields import DRIP_FIELDS, LONGEST_TEXT, to_seconds
from app.segment_to_drip.mapping import ALSO_CUSTOM, ONCE, address_field, drip_field
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

Given = dict[str, tuple[str, Any]]
"""Drip's field → path and value of the trait that it comes from."""

_ALSO_CUSTOM = frozenset(ALSO_CUSTOM.values())

_CONDITIONAL = frozenset(
    {"initial_status", "status", "status_updated_at", "sms_number", "sms_consent"}
)
"""Fields that are sent only under conditions."""


class Subscriber(NamedTuple):
    """Drip's fields of one person, without the address, which may not be known yet."""

    fields: dict[str, Any]
    once: dict[str, Any]
    """Fields that are sent once for each value."""


def subscriber_of(call: SegmentCall, options: DripOptions) -> Subscriber:
    """The subscriber of an identify call. What is left out is named in
    `call.left_out`."""
    given, custom = _sort(call)
    values = _read(given, call.left_out)
    _add_address(values, call)
    _add_name(values, call)
    _add_context(values, call)
    _settle_tags(values)
    _settle_sms(values, given, call.left_out)
    _settle_status(values, given, custom, call, options)
    if call.user_id is not None:
        values["user_id"] = call.user_id
    if custom_fields := custom_fields_of(call, custom):
        values["custom_fields"] = custom_fields
    once = {name: values.pop(name) for name in ONCE & values.keys()}
    return Subscriber(values, once)


def _sort(call: SegmentCall) -> tuple[Given, dict[str, Any]]:
    """The traits that are Drip's own fields, and those that are custom fields. Some are both."""
    given: Given = {}
    custom: dict[str, Any] = {}
    for trait, value in call.traits.items():
        if value is None or (len(trait) == 5 and trait.lower() == "email"):
            continue
        field = drip_field(trait)
        if field is None or field in _ALSO_CUSTOM:
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


def _read(given: Given, left_out: dict[str, str]) -> dict[str, Any]:
    """The values that Drip takes."""
    values: dict[str, Any] = {}
    for field, (path, raw) in given.items():
        if field in _CONDITIONAL:
            continue
        value = _read_one(field, path, raw, left_out)
        if value is not None:
            values[field] = value
    return values


def _read_one(field: str, path: str, raw: Any, left_out: dict[str, str]) -> Any:
    try:
        return DRIP_FIELDS[field].deserialize(raw)
    except ValidationError as error:
        left_out[path] = str(error.args[0])
        return error.valid_data or None


def _add_address(values: dict[str, Any], call: SegmentCall) -> None:
    """The parts of the trait `address`, if no trait of their own has them."""
    address = call.traits.get("address")
    if not isinstance(address, dict):
        return
    for key, raw in address.items():
        field = address_field(key)
        if field and field not in values and raw is not None:
            value = _read_one(field, f"traits.address.{key}", raw, call.left_out)
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
            value = _read_one(field, f"context.{name}", raw, call.left_out)
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
    number = _read_one("sms_number", *given["sms_number"], left_out)
    consent = _read_one("sms_consent", *given["sms_consent"], left_out)
    if number and consent is not None:
        values |= {"sms_number": number, "sms_consent": consent}
    elif number:
        left_out[path] = "There is no sms_consent that can be read."


def _settle_status(
    values: dict[str, Any],
    given: Given,
    custom: dict[str, Any],
    call: SegmentCall,
    options: DripOptions,
) -> None:
    """Nobody is subscribed again by accident: a trait `status: active` is often about something
    else, and browsers resend it. `status_updated_at` without a status would change a status."""
    initial = options.initial_status
    if "initial_status" in given:
        initial = _read_one("initial_status", *given["initial_status"], call.left_out) or initial
    if initial != "none":
        values["initial_status"] = initial
    if "status" in given and (status := _status(given, call.left_out, options)):
        values |= status
        return
    for name in ("status", "status_updated_at"):
        if name in given:
            custom[name] = given[name][1]


def _status(given: Given, left_out: dict[str, str], options: DripOptions) -> dict[str, Any]:
    """The status to send, and since when; nothing if the trait is about something else."""
    path, raw = given["status"]
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word not in ("unsubscribed", "active"):
        return {}
    status = {"status": word}
    if "status_updated_at" in given:
        updated_at = _read_one("status_updated_at", *given["status_updated_at"], left_out)
        if updated_at is not None:
            status["status_updated_at"] = to_seconds(updated_at)
    if word == "unsubscribed" or "status_updated_at" in status or options.allow_resubscribe:
        return status
    left_out[path] = "Sent as a custom field: it would subscribe people again."
    return {}
