"""Read traits as the values that Drip accepts, field by field.

A field either returns the value to send, or None for a trait that says nothing, or raises
marshmallow's `ValidationError` with the reason why the trait is left out.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from math import isfinite
from types import MappingProxyType
from typing import Any
from zoneinfo import available_timezones

from marshmallow import ValidationError, fields, validate

LONGEST_TEXT = 1000
"""Characters of a text. Drip documents no limit; other senders keep to this one."""


class Text(fields.Field[str | None]):
    """Text, trimmed, or a number in place of it. Blank text says nothing."""

    longest = LONGEST_TEXT

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        """Skip marshmallow's own method, which is slow for what it does here."""
        return self._deserialize(value, *args, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str | None:
        text = to_text(value)
        if text is None:
            raise ValidationError("Neither text nor a number.")
        text = text.strip()
        if len(text) > self.longest:
            raise ValidationError(f"Over {self.longest} characters.")
        return text or None


def to_text(value: Any) -> str | None:
    """Text, or a number as text. None for anything else, such as 1e400: as an id, it would make
    one person of everybody who has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float):
        if not isfinite(value):
            return None
        if value.is_integer() and abs(value) < 1 << 53:
            return str(int(value))
    return str(value)


class _Syntax(validate.Email):
    """An address that can be sent to: no quoted name, and a domain that has a name and a dot."""

    def __call__(self, value: str) -> str:
        if len(value) > 254 or '"' in value or "[" in value:
            raise ValidationError(self.error)
        return super().__call__(value)


class Email(Text):
    """An email address."""

    _check = _Syntax(error="Not an email address.")

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        return text and self._check(text)


class _OneOf(Text):
    """One of a few words, in upper or lower case."""

    def __init__(self, *words: str) -> None:
        super().__init__()
        self._check = validate.OneOf(words, error=f"Neither {' nor '.join(words)}.")

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        return text and self._check(text.lower())


class _TimeZone(Text):
    """A time zone of the Olson database."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        if text and text not in time_zones():
            raise ValidationError("Not a time zone." if time_zones() else _NO_ZONES)
        return text


_NO_ZONES = "Cannot be checked: this machine has no time zone data."


@cache
def time_zones() -> frozenset[str]:
    """All time zones that Drip may know. Empty if the machine has no time zone data."""
    return frozenset(available_timezones() - {"Factory", "localtime"})


class _IpAddress(Text):
    """An IP address, version 4 or 6."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        if text and not _is_ip_address(text):
            raise ValidationError("Not an IP address.")
        return text


def _is_ip_address(text: str) -> bool:
    try:
        return "%" not in text and bool(ip_address(text))
    except ValueError:
        return False


class _UsNumber(Text):
    """A US number as Drip takes for SMS, in E.164."""

    _check = validate.Regexp(
        r"\+1[2-9][0-9]{2}[2-9][0-9]{6}\Z", error="Not a US number such as +14155550100."
    )

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str | None:
        text = super()._deserialize(value, *args, **kwargs)
        return text and self._check(text)


_BOOLEAN = fields.Boolean()


class _Flag(fields.Field[Any]):
    """True or false, in JSON or in words. Not a number other than 0 and 1."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Take blank text as nothing."""
        if isinstance(value, str) and not value.strip():
            return None
        if isinstance(value, str):
            value = value.strip().lower()
        try:
            return _BOOLEAN.deserialize(value)
        except ValidationError:
            raise ValidationError("Neither true nor false.") from None


class _Tags(fields.Field[Any]):
    """Tags as a list, or as text with commas between them. Each once, in their order."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """The tags, without blank ones. Those that can be read are in the error, too."""
        if isinstance(value, str):
            value = value.split(",")
        elif not isinstance(value, list):
            value = [value]
        texts = [to_text(tag) for tag in value if tag is not None]
        tags = list(dict.fromkeys(tag for text in texts if text and (tag := text.strip())))
        if None in texts:
            raise ValidationError("Not all are text.", valid_data=tags)
        return tags or None


class _Score(fields.Field[Any]):
    """A whole number from 0."""

    def deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        """Refuse anything but a number."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Not a number.")
        if value != value // 1 or not 0 <= value < 1 << 31:
            raise ValidationError("Not a whole number from 0.")
        return int(value)


class Instant(fields.AwareDateTime):
    """A time in ISO 8601, in any offset and precision; without an offset it is UTC."""

    def __init__(self) -> None:
        super().__init__(default_timezone=UTC)

    def deserialize(self, value: Any, *_: Any, **__: Any) -> datetime:
        """The time in UTC."""
        try:
            written = value.strip().upper() if isinstance(value, str) else value
            instant = self._deserialize(written, None, None).astimezone(UTC)
        except (ValidationError, OverflowError):
            raise ValidationError("Not a time in ISO 8601.") from None
        if instant.year < 1970:  # such as year 1, which is some languages' "no time"
            raise ValidationError("Before 1970.")
        return instant


def to_seconds(instant: datetime) -> str:
    """A time in UTC as Drip takes it: without fractions, which it may refuse."""
    return instant.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


EMAIL = Email()
STATUS = _OneOf("unsubscribed", "active")
INSTANT = Instant()
TEXT = Text()

DRIP_FIELDS: Mapping[str, fields.Field[Any]] = MappingProxyType(
    {
        **dict.fromkeys(("first_name", "last_name", "phone", "eu_consent_message"), TEXT),
        **dict.fromkeys(("address1", "address2", "city", "state", "zip", "country"), TEXT),
        "time_zone": _TimeZone(),
        "ip_address": _IpAddress(),
        "tags": _Tags(),
        "remove_tags": _Tags(),
        "prospect": _Flag(),
        "potential_lead": _Flag(),
        "initial_status": STATUS,
        "status": STATUS,
        "status_updated_at": INSTANT,
        "new_email": EMAIL,
        "eu_consent": _OneOf("granted", "denied"),
        "sms_number": _UsNumber(),
        "sms_consent": _Flag(),
        "base_lead_score": _Score(),
    }
)
"""Drip's field → how it is read. Made once, because making one takes longer than reading."""
