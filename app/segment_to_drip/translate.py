"""Translate one call of Segment into a message to keep. Pure."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from app.errors import FieldErrors, InvalidPayload
from app.json_reading import read_object
from app.logs import error_location, get_logger
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.mapping.characters import REPLACED, of_characters
from app.segment_to_drip.mapping.event import drop_unwritable, event_of
from app.segment_to_drip.mapping.interest import campaign_of, reason_to_ignore
from app.segment_to_drip.mapping.subscriber import subscriber_of
from app.segment_to_drip.mapping.who import Who, who_of
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
    readable = of_characters(body)
    call = call_of(read_object(readable))
    if readable is not body:
        call.left_out["body"] = REPLACED
    if reason := reason_to_ignore(call, options):
        return Ignored(call.type, reason)
    who: Who = [] if call.type == "alias" else who_of(call, options)
    message = Message(
        message_id=_message_id(call, body, account, options),
        account=account,
        payload="",
        raw=body,
        received_at=received_at,
        collection=call.type,
        email=who[0][1] if who and who[0][0] == "email" else None,
        person="",
    )
    if call.type == "alias":
        return _with(message, _alias(call))
    if not who:
        nobody = "Neither an address, nor a userId or anonymousId: nobody to attribute it to."
        raise InvalidPayload({"userId": [nobody]})
    ids = {"who": who, "user_id": call.user_id, "anonymous_id": call.anonymous_id}
    if call.type == "track":
        return _track(message, call, ids, options)
    return _identify(message, call, ids, options)


def _track(
    message: Message, call: SegmentCall, ids: Mapping[str, Any], options: DripOptions
) -> Message:
    event = event_of(call, message.received_at, options)
    track = {"type": "track", **ids, "event": event, "left_out": call.left_out}
    try:
        return _with(message, track)
    except (ValueError, RecursionError):
        drop_unwritable(event["properties"], call.left_out)
        return _with(message, track)


def _identify(
    message: Message, call: SegmentCall, ids: Mapping[str, Any], options: DripOptions
) -> Message:
    subscriber, once = subscriber_of(call, options)
    campaign = campaign_of(call, options)
    identified = _with(
        message,
        {
            "type": "identify",
            **ids,
            "subscriber": subscriber,
            "once": once,
            "left_out": call.left_out,
        },
    )
    if not campaign:
        return identified
    # Drip's own default would bring back people who have left the campaign
    joining: dict[str, Any] = {"reactivate_if_removed": False}
    if options.double_optin is not None:
        joining["double_optin"] = options.double_optin
    join = message._replace(message_id=f"{message.message_id}/campaign", collection="campaign")
    # for the old address, Drip would make a second person of who has just changed it
    moved = {"new_email": once["new_email"]} if "new_email" in once else {}
    follow_up = _with(
        join,
        {
            "type": "campaign",
            **ids,
            **moved,
            "campaign_id": campaign,
            "subscriber": joining,
            "left_out": {},
        },
    )
    return identified._replace(follow_ups=(follow_up,))


def _alias(call: SegmentCall) -> dict[str, Any]:
    if call.previous_id is None or call.user_id is None:
        missing = "previousId" if call.previous_id is None else "userId"
        raise InvalidPayload({missing: ["Missing or blank."]})
    return {"type": "alias", "previous_id": call.previous_id, "user_id": call.user_id}


def _with(message: Message, call: Mapping[str, Any]) -> Message:
    payload = _ENCODER.encode(call)
    if len(payload) > LARGEST_PAYLOAD:
        raise InvalidPayload({"body": [f"Over {LARGEST_PAYLOAD:,} bytes as a request to Drip."]})
    return message._replace(payload=payload)


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
