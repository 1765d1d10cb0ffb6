"""Read one call as Segment posts it, liberally.

Only what a correct request to Drip needs may be an error: what kind of call it is, what happened,
and to which person. Anything else that cannot be read is left out, with its path.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing, validate

from app.errors import InvalidPayload
from app.json_reading import read_object
from app.segment_to_drip.mapping.characters import REPLACED, of_characters
from app.segment_to_drip.mapping.drip_fields import to_text
from app.segment_to_drip.mapping.external_ids import drip_id_in
from app.segment_to_drip.mapping.traits import SENT, WITHOUT_PLACE

LONGEST_ID = 255
"""Characters of a userId or an anonymousId. The database cannot look up ids of any length."""

Object = Mapping[str, Any]
NOTHING: Object = {}


class SegmentCall(NamedTuple):
    """One call as Segment sent it. What is missing is None, or an empty object."""

    type: str
    message_id: str | None
    user_id: str | None
    anonymous_id: str | None
    previous_id: str | None
    drip_id: str | None
    """Drip's own id of the person."""
    event: str
    """What happened, if it is a track call."""
    email: Any
    """The address beside the type. Segment's event tester puts it there."""
    channel: Any
    traits: Object
    properties: Object
    context: Object
    context_traits: Object
    integrations: Object
    metadata: Object
    timestamp: Any
    original_timestamp: Any
    left_out: dict[str, str]
    """Path of what cannot be sent → why, without values. Later steps add to it."""


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


def call_of(envelope: Object) -> SegmentCall:
    """Read a call. Raises `InvalidPayload` with the errors of each field."""
    left_out: dict[str, str] = {}
    try:
        values = _ENVELOPE.load(_by_path(envelope))
    except ValidationError as error:
        values = error.valid_data
        left_out = {path: reasons[0] for path, reasons in error.messages_dict.items()}
    if "type" in left_out:
        raise InvalidPayload({"type": [left_out["type"]]})
    if values["type"] == "track" and not values.get("event"):
        raise InvalidPayload({"event": [left_out.get("event", "Missing or blank.")]})
    get = values.get
    return SegmentCall(
        type=values["type"],
        message_id=get("message_id"),
        user_id=get("user_id"),
        anonymous_id=get("anonymous_id"),
        previous_id=get("previous_id"),
        drip_id=drip_id_in(get("context", NOTHING), left_out),
        event=get("event") or "",
        email=envelope.get("email"),
        channel=envelope.get("channel"),
        traits=get("traits", NOTHING),
        properties=get("properties", NOTHING),
        context=get("context", NOTHING),
        context_traits=get("context_traits", NOTHING),
        integrations=get("integrations", NOTHING),
        metadata=get("metadata", NOTHING),
        timestamp=envelope.get("timestamp"),
        original_timestamp=envelope.get("originalTimestamp"),
        left_out=left_out,
    )


class _Id(fields.Field[str | None]):
    """An id as text, or a number in its place. Blank text and null count as missing.

    It is not trimmed, as Segment does not trim ids either.
    """

    longest = LONGEST_ID

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Skip marshmallow's own method, which takes longest over values that are missing."""
        if value is None or value is missing:
            return missing
        text = to_text(value)
        if text is None:
            raise ValidationError("Neither text nor a number.")
        if len(text) > self.longest:
            raise ValidationError(f"Over {self.longest} characters.")
        return text if text.strip() else missing


class _Event(_Id):
    """The name of what happened, of any length. It is trimmed."""

    longest = 1 << 30

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Trim it, so that it is the same event wherever a space slipped in."""
        name = super().deserialize(value, *args, **kwargs)
        return name if name is missing else name.strip()


class _Type(fields.String):
    """The type of a call, in upper or lower case."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        trimmed = value.strip().lower() if isinstance(value, str) else value
        text: str = super()._deserialize(trimmed, *args, **kwargs)
        return text


class _Object(fields.Field[Object]):
    """A JSON object. Null counts as missing."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Skip marshmallow's own method, as `_Id` does."""
        if value is None:
            return missing
        if value is not missing and not isinstance(value, dict):
            raise ValidationError("Not a JSON object.")
        return value


class _Envelope(Schema):
    """All fields in one schema, each under its path. One schema for each object takes longer."""

    class Meta:
        unknown = EXCLUDE

    type = _Type(
        required=True,
        validate=validate.OneOf(SENT | WITHOUT_PLACE, error="Not a type of Segment's calls."),
        error_messages={
            "required": "Missing. Is this a call of Segment?",
            "null": "Missing. Is this a call of Segment?",
            "invalid": "Not text.",
        },
    )
    message_id = _Id(data_key="messageId")
    user_id = _Id(data_key="userId")
    anonymous_id = _Id(data_key="anonymousId")
    previous_id = _Id(data_key="previousId")
    event = _Event()
    traits = _Object()
    properties = _Object()
    context = _Object()
    context_traits = _Object(data_key="context.traits")
    integrations = _Object()
    metadata = _Object(data_key="_metadata")


_ENVELOPE = _Envelope()
"""Made once, because making one takes longer than reading a call."""


def _by_path(envelope: Object) -> dict[str, Any]:
    """The values by the paths of the schema, and with the other spellings that Segment documents
    for alias."""
    context = envelope.get("context")
    values = dict(envelope)
    values["context.traits"] = context.get("traits") if isinstance(context, dict) else None
    for documented, name in (("Previous ID", "previousId"), ("User ID", "userId")):
        if values.get(name) is None and documented in values:
            values[name] = values[documented]
    return values
