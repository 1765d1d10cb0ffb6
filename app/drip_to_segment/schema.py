"""Read the body of a Drip webhook, liberally.

Drip publishes examples, not a contract (docs/development/facts.md § 1). So only what a correct
track call needs may be an error: whose event it is, what happened, and when.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NamedTuple

from marshmallow import EXCLUDE, Schema, ValidationError, fields, missing, validate

from app.drip_to_segment.mapping import COLLECTIONS
from app.errors import InvalidPayload, UnsupportedEvent
from app.json_reading import read_object


class DripEvent(NamedTuple):
    """One email event as Drip sent it. What Drip left out or left blank is None."""

    name: str
    account_id: str | None
    subscriber_id: str | None
    email: str | None
    user_id: str | None
    time_zone: str | None
    occurred_at: datetime | None
    properties: Mapping[str, Any]


def body_to_event(body: bytes) -> DripEvent:
    """Read an event. Raises `UnsupportedEvent` if it has no collection, and `InvalidPayload` with
    the errors of each field."""
    envelope = read_object(body)
    name = envelope.get("event")
    if isinstance(name, str) and name.strip() and name.strip() not in COLLECTIONS:
        raise UnsupportedEvent(name.strip())
    try:
        values = _ENVELOPE.load(_by_path(envelope))
    except ValidationError as error:
        raise InvalidPayload(_topmost(error.messages_dict)) from None
    return DripEvent(
        name=values["event"],
        account_id=values["account_id"],
        subscriber_id=values["subscriber_id"],
        email=values["email"],
        user_id=values["user_id"],
        time_zone=values["time_zone"],
        occurred_at=values["occurred_at"],
        properties=values["properties"] or {},
    )


class _Text(fields.Field[str | None]):
    """Text, or a number in place of the documented text. Blank text and null count as missing."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        """Skip marshmallow's own method, which takes longest over values that are missing."""
        return None if value is None else self._deserialize(value, *args, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValidationError("Neither text nor a number.")
        if isinstance(value, float) and not isfinite(value):
            raise ValidationError("A number beyond what JSON can carry.")
        text = str(int(value)) if _is_whole(value) else str(value)
        return text if text.strip() else None


def _is_whole(value: str | float) -> bool:
    """Whether a float stands for exactly one integer, as 4417.0 does. From 2⁵³ on it may be
    several."""
    return isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53


class _Email(_Text):
    """An address, trimmed and otherwise as Drip sent it. Whether it is valid is not checked."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        return text and text.strip()


class _AccountId(_Text):
    """An account id, read exactly or not at all: it decides whose Segment source gets the event."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        if isinstance(value, float) and not _is_whole(value):
            raise ValidationError("Not an account id.")
        text = super()._deserialize(value, *args, **kwargs)
        if text is not None:
            self._check(text)
        return text

    # no "@", because accounts are logged and shown, and must not be addresses
    _check = validate.Regexp(r"[!-?A-~]{1,64}\Z", error="Not an account id.")


class _TextOrNothing(_Text):
    """Text that a correct call can do without. Anything but text is left out."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        return super()._deserialize(value, *args, **kwargs) if isinstance(value, str) else None


class _Instant(fields.AwareDateTime):
    """A time in ISO 8601, in any offset and precision. Without an offset it is UTC, as Drip
    documents."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        try:
            # RFC 3339 allows a small t and z, marshmallow does not
            written = value.upper() if isinstance(value, str) else value
            return super()._deserialize(written, *args, **kwargs).astimezone(UTC)
        except OverflowError:  # year 1 or 9999, across the edge by its offset
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None


class _Object(fields.Field[dict[str, Any]]):
    """A JSON object."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Not a JSON object.")
        return value


class _Subscriber(_Object):
    """A subscriber with a user id or an email. Whether these can be read is checked by their own
    fields."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        subscriber = super()._deserialize(value, *args, **kwargs)
        if all(_blank_is_none(subscriber.get(name)) is None for name in ("user_id", "email")):
            raise ValidationError("Neither user_id nor email: nobody to attribute the event to.")
        return subscriber


class _Envelope(Schema):
    """All fields of the nested objects in one schema, each under its dotted path. One schema for
    each object would take half as long again."""

    class Meta:
        unknown = EXCLUDE

    event = fields.String(
        required=True,
        validate=validate.Length(min=1, error="Blank."),
        error_messages={
            "required": "Missing. A workflow's own HTTP post? The bridge reads account webhooks."
        },
    )
    occurred_at = _Instant(default_timezone=UTC, allow_none=True)
    data = _Object(required=True)
    account_id = _AccountId(data_key="data.account_id")
    properties = fields.Dict(data_key="data.properties", allow_none=True)
    subscriber = _Subscriber(data_key="data.subscriber", required=True)
    subscriber_id = _Text(data_key="data.subscriber.id")
    email = _Email(data_key="data.subscriber.email")
    user_id = _Text(data_key="data.subscriber.user_id")
    time_zone = _TextOrNothing(data_key="data.subscriber.time_zone")


_ENVELOPE = _Envelope()
"""Made once, because making one takes longer than reading an event."""


def _by_path(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the paths of the schema. They are picked one by one, because names in Drip's
    objects may have dots."""
    name = envelope.get("event", missing)
    data = envelope.get("data", missing)
    within = data if isinstance(data, dict) else {}
    subscriber = within.get("subscriber", missing)
    who = subscriber if isinstance(subscriber, dict) else {}
    return {
        "event": name.strip() if isinstance(name, str) else name,
        "occurred_at": _blank_is_none(envelope.get("occurred_at")),
        "data": data,
        "data.account_id": within.get("account_id"),
        "data.properties": within.get("properties"),
        "data.subscriber": subscriber,
        "data.subscriber.id": who.get("id"),
        "data.subscriber.email": who.get("email"),
        "data.subscriber.user_id": who.get("user_id"),
        "data.subscriber.time_zone": who.get("time_zone"),
    }


def _blank_is_none(value: Any) -> Any:
    """Trim text; blank text becomes None."""
    return (value.strip() or None) if isinstance(value, str) else value


def _topmost(errors: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The errors without those of fields inside `data`, if `data` itself has an error."""
    return {
        path: reasons
        for path, reasons in errors.items()
        if "data" not in errors or not path.startswith("data.")
    }
