"""Drip's envelope, read liberally.

Its published examples are a floor, not a contract (docs/facts.md § 1). Only what stops a correct
call is an error: whose event it is, what happened, and when.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, NoReturn

from marshmallow import (
    EXCLUDE,
    Schema,
    ValidationError,
    fields,
    missing,
    post_load,
    pre_load,
    validate,
)

from app.errors import NotAnEmailEvent, Unreadable
from app.source.collections import COLLECTIONS


@dataclass(frozen=True)
class DripEvent:
    """One email event as Drip told it; what Drip left out, or left blank, is None."""

    name: str
    account_id: str | None
    subscriber_id: str | None
    email: str | None
    user_id: str | None
    time_zone: str | None
    occurred_at: datetime | None
    properties: Mapping[str, Any]


def body_to_event(body: bytes) -> DripEvent:
    """Raises `NotAnEmailEvent` where there is no collection for it, `Unreadable` field by field."""
    envelope = _parse(body)
    name = envelope.get("event")
    if isinstance(name, str) and name.strip() and name.strip() not in COLLECTIONS:
        raise NotAnEmailEvent(name.strip())
    try:
        event: DripEvent = _ENVELOPE.load(envelope)
    except ValidationError as error:
        raise Unreadable(dict(_by_path(error.messages_dict))) from None
    return event


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = _DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except RecursionError:
        raise Unreadable({"body": ["JSON, but nested too deeply to be read."]}) from None
    except UnicodeDecodeError:
        raise Unreadable({"body": ["Not text in UTF-8, UTF-16 or UTF-32."]}) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Unreadable({"body": [f"Not JSON: {error.msg} at {where}."]}) from None
    except ValueError as error:
        raise Unreadable({"body": [f"Not JSON that can be read: {error}."]}) from None
    if not isinstance(value, dict):
        raise Unreadable({"body": ["Not a JSON object."]})
    return value


def _no_such_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON value")


_DECODER = json.JSONDecoder(parse_constant=_no_such_number)
"""Made once: `json.loads` would make one for each body."""


class _Text(fields.Field[str | None]):
    """Text, or a number where text is documented; blank counts as missing, and so does null."""

    def deserialize(self, value: Any, *rest: Any, **more: Any) -> str | None:
        """marshmallow's own takes longer over what is not there than over what is."""
        return (
            None if value is None or value is missing else self._deserialize(value, *rest, **more)
        )

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            raise ValidationError("Neither text nor a number.")
        if isinstance(value, float) and not isfinite(value):
            raise ValidationError("A number beyond what JSON can carry.")
        text = str(value)
        return text if text.strip() else None


class _Email(_Text):
    """Trimmed, otherwise as Drip wrote it: whether it is a good address is not ours to judge."""

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str | None:
        text = super()._deserialize(value, *rest, **more)
        return text and text.strip()


class _AccountId(_Text):
    """The account decides whose Segment source gets the event: it is read exactly or not at all."""

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str | None:
        text = super()._deserialize(value, *rest, **more)
        if text is not None:
            validate.Regexp(r"[!-~]{1,64}\Z", error="Not an account id.")(text)
        return text


class _TextOrNothing(_Text):
    """Text that no correct call depends on: what is not text is left out."""

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> str | None:
        return super()._deserialize(value, *rest, **more) if isinstance(value, str) else None


class _Instant(fields.AwareDateTime):
    """ISO 8601 in any offset and precision; without an offset it is UTC, as Drip documents."""

    def _deserialize(self, value: Any, *rest: Any, **more: Any) -> datetime:
        try:
            return super()._deserialize(value, *rest, **more).astimezone(UTC)
        except OverflowError:  # year 1 or 9999, across the edge by its offset
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None


class _Subscriber(Schema):
    class Meta:
        unknown = EXCLUDE

    id = _Text()
    email = _Email()
    user_id = _Text()
    time_zone = _TextOrNothing()

    @post_load
    def _is_somebody(self, found: dict[str, Any], **_: Any) -> dict[str, Any]:
        if not (found["user_id"] or found["email"]):
            raise ValidationError("Neither user_id nor email: nobody to attribute the event to.")
        return found


class _Data(Schema):
    class Meta:
        unknown = EXCLUDE

    account_id = _AccountId()
    subscriber = fields.Nested(_Subscriber, required=True)
    properties = fields.Dict(load_default=dict, allow_none=True)


class _Envelope(Schema):
    class Meta:
        unknown = EXCLUDE

    event = fields.String(
        required=True,
        validate=validate.Length(min=1, error="Blank."),
        error_messages={
            "required": "Missing. A workflow's own HTTP post? The bridge reads account webhooks."
        },
    )
    occurred_at = _Instant(default_timezone=UTC, load_default=None, allow_none=True)
    data = fields.Nested(_Data, required=True)

    @pre_load
    def _blank_is_missing(self, envelope: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        texts: dict[str, str | None] = {
            name: envelope[name].strip()
            for name in ("event", "occurred_at")
            if isinstance(envelope.get(name), str)
        }
        if texts.get("occurred_at") == "":
            texts["occurred_at"] = None
        return {**envelope, **texts}

    @post_load
    def _to_event(self, found: Mapping[str, Any], **_: Any) -> DripEvent:
        data, subscriber = found["data"], found["data"]["subscriber"]
        return DripEvent(
            name=found["event"],
            account_id=data["account_id"],
            subscriber_id=subscriber["id"],
            email=subscriber["email"],
            user_id=subscriber["user_id"],
            time_zone=subscriber["time_zone"],
            occurred_at=found["occurred_at"],
            properties=data["properties"] or {},
        )


_ENVELOPE = _Envelope()
"""Made once: making one copies each of its fields, and takes longer than reading an event."""


def _by_path(messages: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """marshmallow's nested messages → (dotted path, messages)."""
    for name, below in messages.items():
        here = path if name == "_schema" else f"{path}.{name}".lstrip(".")
        if isinstance(below, Mapping):
            yield from _by_path(below, here)
        else:
            yield here, list(below)
