"""Marshmallow fields that check the text of each setting and convert it.

An error says what is wrong but never quotes the value: it may be a secret in the wrong place.
"""

import ipaddress
import re
import string
from base64 import b64decode
from collections.abc import Iterator
from math import inf
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields

REGION_HOSTS = MappingProxyType(
    {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
)
"""Segment's host for each region. It may accept a call to the wrong region, and then drop it
(docs/development/facts.md § 2)."""

MIN_TOKEN = 16
MIN_PASSWORD = 12


class Host(fields.Field[str]):
    """A URL of scheme and host only. With `may_be_http` the caller checks whether http is safe."""

    def __init__(self, *, may_be_http: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._may_be_http = may_be_http

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        try:
            parts = urlsplit(value.strip())
            hostname, port = parts.hostname, parts.port
        except ValueError:
            raise ValidationError("is not a URL.") from None
        if not re.fullmatch(r"[\w.:-]*", hostname or "", re.ASCII):
            raise ValidationError("is not a URL.")
        if not hostname or port == 0 or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValidationError("must be scheme and host alone, as in the example.")
        if parts.username is not None:
            raise ValidationError("must not carry a user name: the key is sent by itself.")
        if not (self._may_be_http and parts.scheme == "http"):
            _must_be_private(parts.scheme, hostname)
        return f"{parts.scheme}://{parts.netloc}"


class Tokens(fields.Field[tuple[str, ...]]):
    """One or more webhook tokens, separated by commas."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> tuple[str, ...]:
        tokens = tuple(token.strip() for token in value.split(",") if token.strip())
        if not tokens or any(len(token) < MIN_TOKEN for token in tokens):
            raise ValidationError(f"needs at least {MIN_TOKEN} characters in each token.")
        return tokens


class WriteKey(fields.Field[str]):
    """One Segment write key."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        key = value.strip()
        if not key.isascii() or not key.isprintable() or set(key) & set(" ,=:"):
            raise ValidationError("is not one write key: no blank, comma, '=' or ':' is in one.")
        return key


class WriteKeys(fields.Field[dict[str, str]]):
    """Pairs of `account=key`, as a mapping of account to key."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        keys: dict[str, str] = {}
        for account, key in read_pairs(value, "write key"):
            if account in keys:
                raise ValidationError("names an account twice.")
            keys[account] = WriteKey().deserialize(key)
        return keys


class AccountTokens(fields.Field[dict[str, str]]):
    """Pairs of `account=token`, as a mapping of token to account."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        accounts: dict[str, str] = {}
        for account, token in read_pairs(value, "token"):
            if len(token) < MIN_TOKEN:
                raise ValidationError(f"needs at least {MIN_TOKEN} characters in each token.")
            if token in accounts:
                raise ValidationError("names a token twice.")
            accounts[token] = account
        return accounts


def read_pairs(value: str, what: str) -> Iterator[tuple[str, str]]:
    """Yield the pairs of `account=…,account=…`. `what` is what an account is given, for the error.
    A pair is split at its first "=". Raises `ValidationError`."""
    for pair in filter(None, map(str.strip, value.split(","))):
        account, equals, given = map(str.strip, pair.partition("="))
        if not (account and equals and given):
            raise ValidationError(f"must be pairs of account id and {what}.")
        yield account, given


class Choice(fields.Field[str]):
    """One of a few words, in any case."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._words = words

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        word = value.strip().lower()
        if word not in self._words:
            raise ValidationError(f"must be one of: {', '.join(self._words)}.")
        return word


class Number(fields.Field[float]):
    """A number with a minimum."""

    def __init__(self, minimum: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._minimum = minimum

    def _deserialize(self, value: str, *_: Any, **__: Any) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValidationError("is not a number.") from None
        if not self._minimum <= number < inf:
            raise ValidationError(f"must be at least {self._minimum:g}.")
        return number


class Whole(fields.Field[int]):
    """A whole number within bounds."""

    def __init__(self, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._minimum, self._maximum = minimum, maximum

    def _deserialize(self, value: str, *_: Any, **__: Any) -> int:
        text = value.strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or not self._is_within(int(text)):
            raise ValidationError(
                f"must be a whole number from {self._minimum} to {self._maximum}."
            )
        return int(text)

    def _is_within(self, number: int) -> bool:
        return self._minimum <= number <= self._maximum


class Secret(fields.Field[str]):
    """Printable ASCII that can be sent in an HTTP header, with a minimum length."""

    def __init__(self, min_length: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._min_length = min_length

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        secret = value.strip()
        if not re.fullmatch(r"[!-~]+", secret):
            raise ValidationError("holds a blank, or a letter that is not ASCII.")
        if len(secret) < self._min_length:
            raise ValidationError(f"needs at least {self._min_length} characters.")
        return secret


class DripToken(Secret):
    """One of Drip's API tokens, as it is or as Segment's Drip destination wants it."""

    def _deserialize(self, value: str, *args: Any, **kwargs: Any) -> str:
        return plain_token(super()._deserialize(value, *args, **kwargs))


class Password(fields.Field[str]):
    """A password that a person types."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        password = value.strip()
        if len(password) < MIN_PASSWORD:
            raise ValidationError(f"needs at least {MIN_PASSWORD} characters.")
        return password


class SecretUrl(fields.Field[str]):
    """A URL to post to, which is a secret itself: anyone who knows it can post."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        try:
            parts = urlsplit(value.strip())
            hostname, _port = parts.hostname, parts.port
        except ValueError:
            raise ValidationError("is not a URL.") from None
        if not hostname or not re.fullmatch(r"[!-~]+", value.strip()):
            raise ValidationError("is not a URL.")
        _must_be_private(parts.scheme, hostname)
        return value.strip()


class AccountId(fields.Field[str]):
    """The id of a Drip account."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        if not re.fullmatch(r"[0-9]+", value.strip()):
            raise ValidationError("must be digits: the number in the address of Drip's pages.")
        return value.strip()


class YesNo(fields.Boolean):
    """True or false, in the words that marshmallow knows."""

    def _deserialize(self, value: str, *args: Any, **kwargs: Any) -> bool:
        try:
            return bool(super()._deserialize(value.strip().lower(), *args, **kwargs))
        except ValidationError:
            raise ValidationError("must be true or false.") from None


def plain_token(pasted: str) -> str:
    """Return Drip's API token. Segment's Drip destination has to be given it with a colon, and
    perhaps a line end, in base64, so people have it at hand in that form."""
    try:
        decoded = b64decode(pasted, validate=True)
    except ValueError:
        return pasted
    match = re.fullmatch(rb"([!-9;-~]+):(\r?\n)?", decoded)
    return match[1].decode() if match else pasted


def is_private(url: str) -> bool:
    """Return whether nobody on the way can read what is sent to this URL."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname or "")


def survives_in_url(token: str) -> bool:
    """Return whether a token can be pasted into a URL's query without encoding."""
    return set(token) <= _LITERAL


_LITERAL = {*string.ascii_letters, *string.digits, *"-._~!$'()*,:;=@/?"}
"""The characters of a query (RFC 3986 § 3.4), without those that have a meaning in form data."""


def _must_be_private(scheme: str, hostname: str) -> None:
    if scheme != "https" and not (scheme == "http" and _is_loopback(hostname)):
        raise ValidationError("must start with https:// (http:// on loopback only).")


def _is_loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
