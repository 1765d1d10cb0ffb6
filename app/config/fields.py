"""What each setting's text may be, and what it becomes.

A fault says what is wrong, never what the value was: it may be a secret in the wrong place.
"""

import ipaddress
import re
import string
from collections.abc import Mapping
from math import inf
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from marshmallow import ValidationError, fields
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

REGION_HOSTS = MappingProxyType(
    {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
)
"""docs/facts.md § 2. A call to the wrong region may look successful and vanish."""

SHORTEST_TOKEN = 16
SHORTEST_PASSWORD = 12


class Database(fields.Field[URL]):
    """`postgres://` is what Heroku writes; SQLAlchemy wants to be told the driver.

    Whatever the URL says has an effect, or is refused.
    """

    def _deserialize(self, value: str, *_: Any, **__: Any) -> URL:
        try:
            url = make_url(value.strip())
        except (ArgumentError, ValueError):  # a port that is no number
            raise ValidationError("is not a database URL.") from None
        if url.get_backend_name() in ("postgres", "postgresql"):
            _must_be_understood(value, url.query)
            return url.set(drivername="postgresql+psycopg")
        if url.drivername == "sqlite" and url.host:
            raise ValidationError("is not a database URL: a file's has three slashes or four.")
        if url.drivername != "sqlite":
            raise ValidationError("names neither SQLite nor PostgreSQL.")
        if not url.database or ":memory:" in url.database or url.query.get("mode") == "memory":
            raise ValidationError("names no file: events kept in memory only would be lost.")
        if url.query:
            raise ValidationError("takes no parameters after the file's name.")
        return url


_SECONDS = "[0-9]{1,6}"

PARAMETER_VALUES = MappingProxyType(
    {
        "sslmode": "disable|allow|prefer|require|verify-ca|verify-full",
        "channel_binding": "disable|prefer|require",
        "gssencmode": "disable|prefer|require",
        "target_session_attrs": "any|read-write|primary",  # events are written
        "client_encoding": "(?i:utf-?8)",  # names are of any script
        "connect_timeout": "[1-9][0-9]{0,2}",  # 0 is for ever
        "tcp_user_timeout": _SECONDS,
        "keepalives": "[01]",
        "keepalives_idle": _SECONDS,
        "keepalives_interval": _SECONDS,
        "keepalives_count": _SECONDS,
    }
)
"""PostgreSQL's client looks at these when it connects: a wrong one looks like a lost server."""

OWN_OPTIONS = re.compile(r"synchronous[-_]commit|statement[-_]timeout", re.IGNORECASE)
"""What the bridge sets in each session: a commit is on disk, and no statement hangs."""

_WITHOUT_VALUE = re.compile(r"[?&][^?&=@/]+=?(&|$)")


def _must_be_understood(text: str, query: Mapping[str, tuple[str, ...] | str]) -> None:
    """Raises `ValidationError` naming a parameter that would be dropped, or refused much later."""
    from psycopg.pq import Conninfo  # not needed with SQLite, and not to be had everywhere

    if query and "@" in text.rpartition("?")[2]:  # the rest of a password, cut in two
        raise ValidationError("is not a database URL: in a password, @ is %40, / %2F and ? %3F.")
    if _WITHOUT_VALUE.search(text.strip()):
        raise ValidationError("has a parameter without a value.")
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in query.items():
        if name not in known:
            raise ValidationError(f"has a parameter that PostgreSQL does not know: {name}.")
        if not isinstance(value, str):
            _must_be_host(name)
        elif not re.fullmatch(PARAMETER_VALUES.get(name, ".*"), value):
            raise ValidationError(f"has a value for {name} that the bridge cannot work with.")
    if OWN_OPTIONS.search(str(query.get("options"))):
        raise ValidationError("sets synchronous_commit or statement_timeout: the bridge does that.")


def _must_be_host(name: str) -> None:
    """Several are SQLAlchemy's way to name several servers."""
    if name != "host":
        raise ValidationError(f"has the parameter {name} twice.")


class Host(fields.Field[str]):
    """Scheme and host; whether http is private enough may be left to the caller."""

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
            raise ValidationError("must not carry a user name: the write key is sent by itself.")
        if not (self._may_be_http and parts.scheme == "http"):
            _must_be_private(parts.scheme, hostname)
        return f"{parts.scheme}://{parts.netloc}"


class Tokens(fields.Field[tuple[str, ...]]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> tuple[str, ...]:
        tokens = tuple(token.strip() for token in value.split(",") if token.strip())
        if not tokens or any(len(token) < SHORTEST_TOKEN for token in tokens):
            raise ValidationError(f"needs at least {SHORTEST_TOKEN} characters in each token.")
        return tokens


class WriteKey(fields.Field[str]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        key = value.strip()
        if not key.isascii() or not key.isprintable() or set(key) & set(" ,=:"):
            raise ValidationError("is not one write key: no blank, comma, '=' or ':' is in one.")
        return key


class WriteKeys(fields.Field[dict[str, str]]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        keys: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            account, equals, key = map(str.strip, pair.partition("="))
            if not (account and equals and key):
                raise ValidationError("must be pairs of account id and write key.")
            if account in keys:
                raise ValidationError("names an account twice.")
            keys[account] = WriteKey().deserialize(key)
        return keys


class AccountTokens(fields.Field[dict[str, str]]):
    """Token → account."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        accounts: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            account, equals, token = map(str.strip, pair.partition("="))
            if not (account and equals and token):
                raise ValidationError("must be pairs of account id and token.")
            if len(token) < SHORTEST_TOKEN:
                raise ValidationError(f"needs at least {SHORTEST_TOKEN} characters in each token.")
            if token in accounts:
                raise ValidationError("names a token twice.")
            accounts[token] = account
        return accounts


class Choice(fields.Field[str]):
    """One of a few words, in large letters or small."""

    def __init__(self, *words: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._words = words

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        word = value.strip().lower()
        if word not in self._words:
            raise ValidationError(f"must be one of: {', '.join(self._words)}.")
        return word


class Number(fields.Field[float]):
    """Of days or hours, and how many it must be at least."""

    def __init__(self, least: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._least = least

    def _deserialize(self, value: str, *_: Any, **__: Any) -> float:
        try:
            number = float(value)
        except ValueError:
            raise ValidationError("is not a number.") from None
        if not self._least <= number < inf:
            raise ValidationError(f"must be at least {self._least:g}.")
        return number


class Whole(fields.Field[int]):
    """A whole number, and its bounds."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._least, self._most = least, most

    def _deserialize(self, value: str, *_: Any, **__: Any) -> int:
        text = value.strip()
        if not re.fullmatch(r"[0-9]{1,9}", text) or not self._least <= int(text) <= self._most:
            raise ValidationError(f"must be a whole number from {self._least} to {self._most}.")
        return int(text)


class Secret(fields.Field[str]):
    """What goes into an HTTP header, and how long it must be at least."""

    def __init__(self, shortest: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._shortest = shortest

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        secret = value.strip()
        if not re.fullmatch(r"[!-~]+", secret):
            raise ValidationError("holds a blank, or a letter that is not ASCII.")
        if len(secret) < self._shortest:
            raise ValidationError(f"needs at least {self._shortest} characters.")
        return secret


class Password(fields.Field[str]):
    """What a person types."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        password = value.strip()
        if len(password) < SHORTEST_PASSWORD:
            raise ValidationError(f"needs at least {SHORTEST_PASSWORD} characters.")
        return password


class SecretUrl(fields.Field[str]):
    """An address to post to, path and all: who knows it may post."""

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
    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        if not re.fullmatch(r"[0-9]+", value.strip()):
            raise ValidationError("must be digits: the number in the address of Drip's pages.")
        return value.strip()


class YesNo(fields.Boolean):
    def _deserialize(self, value: str, *args: Any, **kwargs: Any) -> bool:
        try:
            return bool(super()._deserialize(value.strip().lower(), *args, **kwargs))
        except ValidationError:
            raise ValidationError("must be true or false.") from None


def is_private(url: str) -> bool:
    """Whether nobody on the way can read what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _loopback(parts.hostname or "")


def survives_in_url(token: str) -> bool:
    """Whether it means itself if it is pasted into a URL's query as it is."""
    return set(token) <= _LITERAL


_LITERAL = {*string.ascii_letters, *string.digits, *"-._~!$'()*,:;=@/?"}
"""RFC 3986 § 3.4, less what a form's query gives a meaning."""


def _must_be_private(scheme: str, hostname: str) -> None:
    if scheme != "https" and not (scheme == "http" and _loopback(hostname)):
        raise ValidationError("must start with https:// (http:// on loopback only).")


def _loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
