"""Find out whose call it is: where to look for the address, in which order."""

from typing import Any

from marshmallow import ValidationError

from app.segment_to_drip.mapping.drip_fields import EMAIL
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import Object, SegmentCall

Who = list[tuple[str, str]]
"""Kind and value of each source of an address, the first to be tried first. "email" is an address;
"user" is a userId and "anonymous" an anonymousId, whose address the bridge may remember."""


def who_of(call: SegmentCall, mapped: Any, options: DripOptions) -> Who:
    """The sources of a call's address. It ends with the first address, since that is always found.
    `mapped` is the address that the mapping gives, if any.

    The address in the properties comes after that of the userId: in "Friend Invited", it is another
    person's. The anonymousId counts only without a userId: on a shared browser, it is another
    person's too.
    """
    who: Who = []
    for path, source in (("fields.email", {"email": mapped}), *_sources(call, options)):
        if path in ("user", "anonymous"):
            if source:
                who.append((path, source))
        elif source and (address := _address(call, path, source)):
            who.append(("email", address))
            break
    return who


def _sources(call: SegmentCall, options: DripOptions) -> list[tuple[str, Any]]:
    """Path and source in the order of rule 1: objects that may have an address, or ids."""
    traits = ("traits.email", call.traits)
    context = ("context.traits.email", call.context_traits)
    user = ("user", call.user_id)
    rest: list[tuple[str, Any]] = [
        ("anonymous", None if call.user_id else call.anonymous_id),
        ("userId", {"email": call.user_id}),
        ("email", {"email": call.email}),
    ]
    if call.type != "track":
        return [traits, context, user, *rest]
    properties = ("properties.email", call.properties)
    if options.track_email == "properties":
        return [properties, context, traits, user, *rest]
    return [context, traits, user, properties, *rest]


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
