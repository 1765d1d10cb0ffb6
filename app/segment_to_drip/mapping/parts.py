"""Work out what is kept of a call: a part for each mapping that it goes through. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.errors import InvalidPayload
from app.segment_to_drip.mapping.audiences import ENGAGE, add_computed, computed_of, update_of
from app.segment_to_drip.mapping.building import BUILDERS, Part
from app.segment_to_drip.mapping.interest import has_consent
from app.segment_to_drip.mapping.mappings import Mapping as MappingToDrip
from app.segment_to_drip.mapping.traits import WITHOUT_PLACE
from app.segment_to_drip.mapping.who import Who, address_change_of, is_of_another, who_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall


class Parts(NamedTuple):
    """What is kept of a call."""

    parts: list[Part]
    update: Part | None
    """What has to be sent of the person before."""


def parts_of(
    call: SegmentCall,
    event: Mapping[str, Any],
    received_at: float,
    options: DripOptions,
    is_taken: bool,
) -> Parts:
    """What the mappings make of a call; `event` is the call as they see it, and `is_taken` whether
    Drip has it from the browser. Raises `InvalidPayload` if there is nobody to attribute it to."""
    mappings = mappings_of(call, event, options)
    if is_taken:  # left is who leaves, and of an identify call who it is
        mappings = [each for each in mappings if each.action in ("unsubscribe", call.type)]
    parts = [part for each in mappings if (part := _part(call, event, each, received_at, options))]
    if is_taken:
        parts = _to_learn_from(parts, call)
    if not parts:
        return Parts([], None)
    parts[0]["left_out"] = call.left_out | parts[0]["left_out"]
    return Parts(parts, None if is_taken else _add_computed(call, parts, received_at, options))


def mappings_of(
    call: SegmentCall, event: Mapping[str, Any], options: DripOptions
) -> list[MappingToDrip]:
    """The mappings that a call goes through. To take a consent back, none is needed."""
    if call.type == "alias" or (call.type == "delete" and options.delete != "ignore"):
        return []
    mappings = options.mappings.of(event)
    if has_consent(call, options.consent_categories):
        return mappings
    return [mapping for mapping in mappings if mapping.action == "unsubscribe"]


def why_nothing(call: SegmentCall, options: DripOptions) -> str:
    """Why no mapping makes anything of a call."""
    if not has_consent(call, options.consent_categories):
        return "consent"
    return call.type if call.type in WITHOUT_PLACE else "no mapping"


def _part(
    call: SegmentCall,
    event: Mapping[str, Any],
    mapping: MappingToDrip,
    received_at: float,
    options: DripOptions,
) -> Part | None:
    """What a mapping makes of the call; None if that is nothing."""
    own = call._replace(left_out={})
    fields = mapping.resolve(event)
    who = who_of(own, fields.get("email"), options)
    if fields.get("email") is not None and is_of_another(own, who, options):
        own = own._replace(user_id=None, anonymous_id=None, drip_id=None)
    part = BUILDERS[mapping.action](own, fields, received_at, options)
    if part is None:
        call.left_out.update(own.left_out)
        return None
    if not who:
        nobody = "Neither an address, nor a userId or anonymousId: nobody to attribute it to."
        raise InvalidPayload({"userId": [nobody]})
    if part["type"] == "identify":
        part |= address_change_of(call, who, options)
    about = {
        "preset": options.mappings.name,
        "mapping": mapping.name,
        "left_out": own.left_out,
    }
    return {"type": part.pop("type"), **whose_of(own, who), **part, **about}


def _to_learn_from(parts: Sequence[Part], call: SegmentCall) -> list[Part]:
    """What is kept of a call that Drip has from the browser: whose the ids of an identify call are.
    Calls that name only an id need that; nothing is sent. And who leaves."""
    left_out = {f"traits.{name}": "Drip has it from the browser." for name in call.traits}
    learnt = [
        {**part, "subscriber": {}, "once": {}, "is_taken": True, "left_out": left_out}
        for part in parts
        if part["type"] == "identify" and part["who"][0][0] == "email"
    ]
    return [*learnt[:1], *(part for part in parts if part["type"] == "unsubscribe")]


def _add_computed(
    call: SegmentCall, parts: Sequence[Part], received_at: float, options: DripOptions
) -> Part | None:
    """Add what Engage computed to the person among the parts. If there is none, as of an event,
    returns one."""
    computed = computed_of(call)
    if computed is None or not has_consent(call, options.consent_categories):
        return None
    for part in parts:
        if part["type"] == "identify":
            add_computed(part, computed, call._replace(left_out=part["left_out"]), options)
            return None
    own = call._replace(left_out={})
    update = update_of(computed, own, received_at, options)
    mark = {"changes_address": False, "preset": options.mappings.name, "mapping": ENGAGE}
    return {**update, **whose_of(call, parts[0]["who"]), **mark, "left_out": own.left_out}


def new_email_of(parts: Sequence[Part]) -> dict[str, str]:
    """The change of address among the parts. For the old address, Drip would make a second person
    of the one who has just changed it."""
    for part in parts:
        if "new_email" in part.get("once", ()):
            return {"new_email": part["once"]["new_email"]}
    return {}


def whose_of(call: SegmentCall, who: Who) -> dict[str, Any]:
    """What a kept call has of its person."""
    ids = {"user_id": call.user_id, "anonymous_id": call.anonymous_id}
    return {"who": who, **ids, **({"drip_id": call.drip_id} if call.drip_id else {})}
