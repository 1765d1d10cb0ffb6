"""Find out whose call it is: where to look for the address, in which order."""

from typing import Any

from marshmallow import ValidationError

from app.segment_to_drip.mapping.drip_fields import EMAIL
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import Object, SegmentCall

Who = list[tuple[str, str]]
"""Kind and value of each source of an address, the first to be tried first. "email" is an address;
"user" is a userId, "drip" an id of Drip's own and "anonymous" an anonymousId, whose address the
bridge may remember."""

_IDS = frozenset({"user", "drip", "anonymous"})


def who_of(call: SegmentCall, mapped: Any, options: DripOptions) -> Who:
    """The sources of a call's address. It ends with the first address, since that is always found.
    `mapped` is the address that the mapping gives, if any.

    The address in the properties comes after that of the userId: in "Friend Invited", it is another
    person's. The anonymousId counts only without a userId: on a shared browser, it is another
    person's too.
    """
    who: Who = []
    for path, source in (("fields.email", {"email": mapped}), *_sources(call, options)):
        if path in _IDS:
            if source:
                who.append((path, source))
        elif source and (address := _address(call, path, source)):
            who.append(("email", address))
            break
    return who


def address_change_of(call: SegmentCall, who: Who, options: DripOptions) -> dict[str, bool]:
    """What another address than the one that is remembered for the userId means: true if it is the
    person's new one. False if it is one more, and the remembered one stays: Engage sends a call for
    each address of a profile. Nothing if it is another person's.

    A new address has to be the trait of an identify call. And if userIds are addresses, another
    address is another user.
    """
    if "personas" in call.context:
        return {"changes_address": False}
    if not options.change_address or call.type != "identify" or call.user_id is None:
        return {}
    trait = call.traits.get(email_key(call.traits))
    is_trait = isinstance(trait, str) and who[0] == ("email", trait.strip())
    is_address = _address(call, "userId", {"email": call.user_id}) is not None
    return {"changes_address": True} if is_trait and not is_address else {}


def is_of_another(call: SegmentCall, who: Who, options: DripOptions) -> bool:
    """Whether the address that a mapping gives may be another person's than the call's ids are, as
    in "Friend Invited": it may, unless the first source without the mapping has it too. But an
    identify call is always about the person whose ids it has."""
    if call.type == "identify" or not who or who[0][0] != "email":
        return False
    own = who_of(call._replace(left_out={}), None, options)
    trusted = {call.user_id or "", *(value for _, value in own[:1])}
    return who[0][1].lower() not in {each.strip().lower() for each in trusted}


def _sources(call: SegmentCall, options: DripOptions) -> list[tuple[str, Any]]:
    """Path and source in the order of rule 1: objects that may have an address, or ids."""
    traits = ("traits.email", call.traits)
    context = ("context.traits.email", call.context_traits)
    ids = ("user", call.user_id), ("drip", call.drip_id)
    rest: list[tuple[str, Any]] = [
        ("anonymous", None if call.user_id else call.anonymous_id),
        ("userId", {"email": call.user_id}),
        ("email", {"email": call.email}),
    ]
    if call.type == "group":  # its traits are those of the group
        return [context, *ids, *rest]
    if call.type != "track":
        return [traits, context, *ids, *rest]
    properties = ("properties.email", call.properties)
    if options.track_email == "properties":
        return [properties, context, traits, *ids, *rest]
    return [context, traits, *ids, properties, *rest]


def read_address(value: Any) -> str | None:
    """The address; None if it is none."""
    try:
        address: str | None = EMAIL.deserialize(value)
    except ValidationError:
        return None
    return address


def _address(call: SegmentCall, path: str, source: Object) -> str | None:
    """The address in an object. One that cannot be read is named, unless it is a userId, which need
    not be one."""
    value = source.get(email_key(source))
    if value is None:
        return None
    try:
        address: str | None = EMAIL.deserialize(value)
    except ValidationError as error:
        if path != "userId":
            call.left_out[path] = str(error.args[0])
        return None
    return address


def email_key(values: Object) -> str:
    """The key of an object's email, in whatever case: "email", "Email", "EMAIL"."""
    if values.get("email") is not None:
        return "email"
    spellings = (key for key in values if len(key) == 5 and key.lower() == "email")
    return next((key for key in spellings if values[key] is not None), "email")
