"""Translate one call of Segment into a message to keep. Pure."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from app.errors import FieldErrors, InvalidPayload
from app.logs import error_location, get_logger
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.mapping.building import Part
from app.segment_to_drip.mapping.event import drop_unwritable
from app.segment_to_drip.mapping.interest import DEVICE_MODE, reason_to_ignore
from app.segment_to_drip.mapping.parts import new_email_of, parts_of, whose_of, why_nothing
from app.segment_to_drip.mapping.who import who_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall, read_call

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
    parts, update = parts_of(call, event, received_at, options, reason == DEVICE_MODE)
    if not parts:
        return Ignored(call.type, reason or why_nothing(call, options))
    first, *others = _messages(message, [*parts, *([update] if update else [])])
    if update:  # an event that starts a workflow is to find the person up to date
        return first._replace(ahead=(others[-1],), follow_ups=tuple(others[:-1]))
    return first._replace(follow_ups=tuple(others))


def _messages(message: Message, parts: Sequence[Part]) -> Iterator[Message]:
    """A message for each part: the first has the id of the call, the others are named after it."""
    names: Counter[str] = Counter()
    moved = new_email_of(parts)
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


def _alias(call: SegmentCall) -> dict[str, Any]:
    if call.previous_id is None or call.user_id is None:
        missing = "previousId" if call.previous_id is None else "userId"
        raise InvalidPayload({missing: ["Missing or blank."]})
    return {"type": "alias", "previous_id": call.previous_id, "user_id": call.user_id}


def _delete(call: SegmentCall, options: DripOptions) -> dict[str, Any]:
    who = who_of(call, None, options)
    if not who:
        raise InvalidPayload({"userId": ["Missing or blank."]})
    whose = whose_of(call, who)
    return {"type": "delete", **whose, "by": options.delete, "left_out": call.left_out}


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
