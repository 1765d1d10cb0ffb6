"""The marshmallow field for `DATABASE_URL`."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


class Database(fields.Field[URL]):
    """The URL of an SQLite file or a PostgreSQL, with the driver that SQLAlchemy needs.

    Heroku's `postgres://` is understood. A part of the URL that would have no effect is an error.
    """

    def _deserialize(self, value: str, *_: Any, **__: Any) -> URL:
        try:
            url = make_url(value.strip())
        except (ArgumentError, ValueError):  # a port that is no number
            raise ValidationError("is not a database URL.") from None
        if url.get_backend_name() in ("postgres", "postgresql"):
            _check_parameters(value, url.query)
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
"""Allowed values, as patterns. PostgreSQL's client checks them only when it connects, so a wrong
value would look like a server that is down."""

OWN_OPTIONS = re.compile(r"synchronous[-_]commit|statement[-_]timeout", re.IGNORECASE)
"""Options that the bridge sets itself in each session."""

_WITHOUT_VALUE = re.compile(r"[?&][^?&=@/]+=?(&|$)")


def _check_parameters(text: str, query: Mapping[str, tuple[str, ...] | str]) -> None:
    """Raise `ValidationError` for a parameter that would be ignored, or refused much later."""
    from psycopg.pq import Conninfo  # not needed with SQLite, and not available everywhere

    if query and "@" in text.rpartition("?")[2]:  # the rest of a password that was split
        raise ValidationError("is not a database URL: in a password, @ is %40, / %2F and ? %3F.")
    if _WITHOUT_VALUE.search(text.strip()):
        raise ValidationError("has a parameter without a value.")
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    for name, value in query.items():
        if name not in known:
            raise ValidationError(f"has a parameter that PostgreSQL does not know: {name}.")
        if not isinstance(value, str):
            _must_be_hosts(name)
        elif not re.fullmatch(PARAMETER_VALUES.get(name, ".*"), value):
            raise ValidationError(f"has a value for {name} that the bridge cannot work with.")
    if OWN_OPTIONS.search(str(query.get("options"))):
        raise ValidationError("sets synchronous_commit or statement_timeout: the bridge does that.")


def _must_be_hosts(name: str) -> None:
    """Only `host` may be given several times: SQLAlchemy's way to name several servers."""
    if name != "host":
        raise ValidationError(f"has the parameter {name} twice.")
