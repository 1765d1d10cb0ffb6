"""Translate one call of Segment into a message to keep. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from app.errors import FieldErrors, InvalidPayload
from app.json_reading import read_object
from app.logs import error_location, get_logger
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.mapping.audiences import (
    ENGAGE,
    add_computed,
    computed_of,
    update_of,
)
from app.segment_to_drip.mapping.building import BUILDERS, Part
from app.segment_to_drip.mapping.characters import REPLACED, of_characters
from app.segment_to_drip.mapping.event import drop_unwritable
from app.segment_to_drip.mapping.interest import DEVICE_MODE, has_consent, reason_to_ignore
from app.segment_to_drip.mapping.mappings import Mapping as MappingToDrip
from app.segment_to_drip.mapping.traits import WITHOUT_PLACE
from app.segment_to_drip.mapping.who import Who, address_change_of, is_of_another, who_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall, call_of

log = get_logger(__name__)

LONGEST_MESSAGE_ID = 200
"""Characters. Segment's have 100 at most."""

LARGEST_PAYLOAD = 500_000
"""Bytes. Segment's calls have 32 kB at most."""

_ENCODER = json.JSONEncoder(allow_nan=False)


def translate(
    body: bytes, received_at: float, account: str, options: DripOptions
) -> Message | Ignored:
    """The message for a call, or `Ignored` for one that Drip should not get. Never raises.

    `body` is the call as it came, `received_at` in seconds since the epoch, `account` the Drip
    account that it is for, or "". A call that cannot become a correct request becomes a quarantined
    message, with its errors field by field.
    """
    try:
        return _translate(body, received_at, account, options)
    except InvalidPayload as error:
        return _quarantined(body, received_at, account, error.errors)
    except RecursionError:
        errors = {"body": ["Nested too deeply to be sent."]}
        return _quarantined(body, received_at, account, errors)
    except Exception as error:  # noqa: BLE001 - a bug must not lose a call
        log.error("fault of the bridge, event set aside", reason=error_location(error))  # noqa: TRY400
        errors = {"body": ["A fault of the bridge; see its log."]}
        return _quarantined(body, received_at, account, errors)


def quarantine(message: Message, errors: FieldErrors) -> Message:
    """The same message as one for quarantine, with these errors."""
    return _quarantined(message.raw, message.received_at, message.account, errors)


def _translate(
    body: bytes, received_at: float, account: str, options: DripOptions
) -> Message | Ignored:
    call, event = read_call(body)
    reason = reason_to_ignore(call, account, options)
    if reason and reason != DEVICE_MODE:
        return Ignored(call.type, reason)
    message = Message(
        message_id=_message_id(call, body, account, options),
        account=account,
        payload="",
        raw=body,
        received_at=received_at,
        collection=call.type,
        person="",
    )
    if call.type == "alias":
        return _with(message, _alias(call))
    if call.type == "delete" and options.delete != "ignore":
        return _with(message, _delete(call, options))
    mappings = mappings_of(call, event, options)
    if reason:  # the browser has sent it: left is who leaves, and of an identify call who it is
        mappings = [each for each in mappings if each.action in ("unsubscribe", call.type)]
    parts = [part for each in mappings if (part := _part(call, event, each, received_at, options))]
    if reason:
        parts = _to_learn_from(parts, call)
    if not parts:
        return Ignored(call.type, reason or _why_nothing(call, options))
    parts[0]["left_out"] = call.left_out | parts[0]["left_out"]
    update = [] if reason else _add_computed(call, parts, received_at, options)
    first, *others = _messages(message, [*parts, *update])
    if update:  # an event that starts a workflow is to find the person up to date
        return first._replace(ahead=(others[-1],), follow_ups=tuple(others[:-1]))
    return first._replace(follow_ups=tuple(others))


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


def read_call(body: bytes) -> tuple[SegmentCall, Mapping[str, Any]]:
    """A call, and the same as mappings see it: without what cannot be read, and with its type in
    lower case. Raises `InvalidPayload`."""
    readable = of_characters(body)
    event = read_object(readable)
    call = call_of(event)
    if call.left_out or event.get("type") != call.type:
        whole = {name: value for name, value in event.items() if name not in call.left_out}
        event = {**whole, "type": call.type}
    if readable is not body:
        call.left_out["body"] = REPLACED
    return call, event


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


def _why_nothing(call: SegmentCall, options: DripOptions) -> str:
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
    return {"type": part.pop("type"), **_whose(own, who), **part, **about}


def _add_computed(
    call: SegmentCall, parts: Sequence[Part], received_at: float, options: DripOptions
) -> list[Part]:
    """Add what Engage computed to the person among the parts. If there is none, as of an event,
    returns one."""
    computed = computed_of(call)
    if computed is None or not has_consent(call, options.consent_categories):
        return []
    for part in parts:
        if part["type"] == "identify":
            add_computed(part, computed, call._replace(left_out=part["left_out"]), options)
            return []
    own = call._replace(left_out={})
    update = update_of(computed, own, received_at, options)
    mark = {"changes_address": False, "preset": options.mappings.name, "mapping": ENGAGE}
    return [{**update, **_whose(call, parts[0]["who"]), **mark, "left_out": own.left_out}]


def _messages(message: Message, parts: Sequence[Part]) -> Iterator[Message]:
    """A message for each part: the first has the id of the call, the others are named after it."""
    names: Counter[str] = Counter()
    moved = _new_email(parts)
    for number, part in enumerate(parts):
        kind = part["type"]
        names[kind] += 1
        suffix = f"{kind}-{names[kind]}" if names[kind] > 1 else kind
        kind, value = part["who"][0]
        if part["type"] != "identify" and moved:
            part |= moved
        yield _with(
            message._replace(
                message_id=f"{message.message_id}/{suffix}" if number else message.message_id,
                collection=part["type"],
                email=value if kind == "email" else None,
            ),
            part,
        )


def _new_email(parts: Sequence[Part]) -> dict[str, str]:
    """The change of address among the parts. For the old address, Drip would make a second person
    of the one who has just changed it."""
    for part in parts:
        if "new_email" in part.get("once", ()):
            return {"new_email": part["once"]["new_email"]}
    return {}


def _alias(call: SegmentCall) -> dict[str, Any]:
    if call.previous_id is None or call.user_id is None:
        missing = "previousId" if call.previous_id is None else "userId"
        raise InvalidPayload({missing: ["Missing or blank."]})
    return {"type": "alias", "previous_id": call.previous_id, "user_id": call.user_id}


def _delete(call: SegmentCall, options: DripOptions) -> dict[str, Any]:
    who = who_of(call, None, options)
    if not who:
        raise InvalidPayload({"userId": ["Missing or blank."]})
    whose = _whose(call, who)
    return {"type": "delete", **whose, "by": options.delete, "left_out": call.left_out}


def _whose(call: SegmentCall, who: Who) -> dict[str, Any]:
    """What a kept call has of its person."""
    ids = {"user_id": call.user_id, "anonymous_id": call.anonymous_id}
    return {"who": who, **ids, **({"drip_id": call.drip_id} if call.drip_id else {})}


def _with(message: Message, call: Mapping[str, Any]) -> Message:
    payload = _to_json(call)
    if len(payload) > LARGEST_PAYLOAD:
        raise InvalidPayload({"body": [f"Over {LARGEST_PAYLOAD:,} bytes as a request to Drip."]})
    return message._replace(payload=payload)


def _to_json(call: Mapping[str, Any]) -> str:
    try:
        return _ENCODER.encode(call)
    except (ValueError, RecursionError):
        values = call.get("order") or call.get("event", {}).get("properties", {})
        drop_unwritable(values, call["left_out"])
        return _ENCODER.encode(call)


def _message_id(call: SegmentCall, body: bytes, account: str, options: DripOptions) -> str:
    """Segment's id of the call, so that a call that is sent again is kept once. One source may be
    connected to several accounts: each gets the call."""
    name = call.message_id
    if name is None or not name.isprintable() or len(name) > LONGEST_MESSAGE_ID:
        name = f"segment-{sha256(body).hexdigest()}"
    return name if account == options.default_account else f"{name}:{account}"


def _quarantined(body: bytes, received_at: float, account: str, errors: FieldErrors) -> Message:
    return Message(
        # one source may be connected to several accounts, as in `_message_id`
        message_id=f"raw-{sha256(body).hexdigest()}" + (account and f":{account}"),
        account=account,
        payload=None,
        raw=body,
        received_at=received_at,
        errors=errors,
    )
