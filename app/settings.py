"""Environment → frozen `Settings`; every fault is told at once, each with its variable."""

import ipaddress
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from dotenv import dotenv_values
from marshmallow import EXCLUDE, Schema, ValidationError, fields, validates_schema
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.errors import CannotStart

REGION_HOSTS = MappingProxyType(
    {"us": "https://api.segment.io", "eu": "https://events.eu1.segmentapis.com"}
)
"""docs/facts.md § 2. A call to the wrong region may look successful and vanish."""

TOKEN_FILE = "bridge.token"  # noqa: S105 - a file's name
SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class Settings:
    """What an operator can set, read and checked."""

    database_url: URL
    webhook_tokens: tuple[str, ...] = field(repr=False)
    segment_host: str
    write_key: str | None = field(default=None, repr=False)
    """For every Drip account without a key of its own."""
    write_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Drip account id → write key."""
    deliver_in_web: bool = True


def load_settings() -> Settings:
    """Read the environment over `.env`; where no platform runs us, make up a token and keep it.

    Raises `CannotStart`, naming every variable at fault.
    """
    environ = {**dotenv_values(".env"), **os.environ}
    given = {name: value for name, value in environ.items() if value and value.strip()}
    if not given.keys() & {"DRIP_WEBHOOK_TOKEN", "DYNO", "PORT"}:
        given["DRIP_WEBHOOK_TOKEN"] = local_token(Path(TOKEN_FILE))
    return environ_to_settings(given)


def environ_to_settings(environ: Mapping[str, str]) -> Settings:
    """Raises `CannotStart`, naming every variable at fault with an example of a right one."""
    try:
        found = _Environ().load(dict(environ))
    except ValidationError as error:
        raise CannotStart(_faults_to_text(error.messages_dict)) from None
    return Settings(
        database_url=found["DATABASE_URL"],
        webhook_tokens=found.get("DRIP_WEBHOOK_TOKEN", ()),
        segment_host=found.get("SEGMENT_HOST") or REGION_HOSTS[found["SEGMENT_REGION"]],
        write_key=found["SEGMENT_WRITE_KEY"],
        write_keys=found["SEGMENT_WRITE_KEYS"],
        deliver_in_web=found["DELIVER_IN_WEB"],
    )


def local_token(path: Path) -> str:
    """The token in the file, made on first use; processes that start together agree on one."""
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name) as draft:
            draft.write(secrets.token_urlsafe(24))
            draft.flush()
            with suppress(FileExistsError):  # another process was first: its token counts
                os.link(draft.name, path)
    return path.read_text().strip()


class _Database(fields.Field[URL]):
    """`postgres://` is what Heroku writes; SQLAlchemy wants to be told the driver."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> URL:
        try:
            url = make_url(value.strip())
        except (ArgumentError, ValueError):  # a port that is no number
            raise ValidationError("is not a database URL.") from None
        if url.get_backend_name() in ("postgres", "postgresql"):
            return url.set(drivername="postgresql+psycopg")
        if url.drivername == "sqlite" and url.host:
            raise ValidationError("is not a database URL: a file's has three slashes or four.")
        if url.drivername != "sqlite":
            raise ValidationError("names neither SQLite nor PostgreSQL.")
        if not url.database or ":memory:" in url.database or url.query.get("mode") == "memory":
            raise ValidationError("names no file: events kept in memory only would be lost.")
        return url


class _Host(fields.Field[str]):
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
        if parts.scheme != "https" and not (parts.scheme == "http" and _loopback(hostname)):
            raise ValidationError("must start with https:// (http:// on loopback only).")
        return f"{parts.scheme}://{parts.netloc}"


class _Tokens(fields.Field[tuple[str, ...]]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> tuple[str, ...]:
        tokens = tuple(token.strip() for token in value.split(",") if token.strip())
        if not tokens or any(len(token) < SHORTEST_TOKEN for token in tokens):
            raise ValidationError(f"needs at least {SHORTEST_TOKEN} characters in each token.")
        return tokens


class _WriteKey(fields.Field[str]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        key = value.strip()
        if not key.isascii() or not key.isprintable() or set(key) & set(" ,=:"):
            raise ValidationError("is not one write key: no blank, comma, '=' or ':' is in one.")
        return key


class _WriteKeys(fields.Field[dict[str, str]]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> dict[str, str]:
        keys: dict[str, str] = {}
        for pair in filter(None, map(str.strip, value.split(","))):
            account, equals, key = map(str.strip, pair.partition("="))
            if not (account and equals and key):
                raise ValidationError("must be pairs of account id and write key.")
            if account in keys:
                raise ValidationError("names an account twice.")
            keys[account] = _WriteKey().deserialize(key)
        return keys


class _Region(fields.Field[str]):
    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        region = value.strip().lower()
        if region not in REGION_HOSTS:
            raise ValidationError(f"must be one of: {', '.join(REGION_HOSTS)}.")
        return region


class _YesNo(fields.Boolean):
    def _deserialize(self, value: str, *rest: Any, **more: Any) -> bool:
        try:
            return bool(super()._deserialize(value.strip().lower(), *rest, **more))
        except ValidationError:
            raise ValidationError("must be true or false.") from None


class _Environ(Schema):
    class Meta:
        unknown = EXCLUDE

    SEGMENT_WRITE_KEY = _WriteKey(load_default=None, metadata={"example": "h1XJ…"})
    SEGMENT_WRITE_KEYS = _WriteKeys(
        load_default=dict, metadata={"example": "4417=h1XJ…,5150=Qz0e…"}
    )
    SEGMENT_REGION = _Region(load_default="us", metadata={"example": "eu"})
    SEGMENT_HOST = _Host(metadata={"example": REGION_HOSTS["eu"]})
    DRIP_WEBHOOK_TOKEN = _Tokens(metadata={"example": "$(openssl rand -hex 24)"})
    DATABASE_URL = _Database(
        load_default=make_url("sqlite:///bridge.db"),
        metadata={"example": "postgres://user:password@db.example.com:5432/bridge"},
    )
    DELIVER_IN_WEB = _YesNo(load_default=True, metadata={"example": "false"})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _fit_the_platform(self, found: Any, given: Mapping[str, str], **_: Any) -> None:
        faults = {}
        if "DRIP_WEBHOOK_TOKEN" not in given:
            faults["DRIP_WEBHOOK_TOKEN"] = [
                "is required where DYNO or PORT is set: anyone could post events without it."
            ]
        database = found.get("DATABASE_URL")
        if "DYNO" in given and (
            "DATABASE_URL" not in given or (database and database.drivername == "sqlite")
        ):
            faults["DATABASE_URL"] = [
                "must name a PostgreSQL where DYNO is set: the dyno's own disk is wiped daily."
            ]
        if faults:
            raise ValidationError(faults)


def _loopback(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"


def _faults_to_text(faults: Mapping[str, Any]) -> str:
    lines = ["The bridge cannot start with these settings:"]
    for name, problems in sorted(faults.items()):
        example = _Environ().fields[name].metadata["example"]
        lines += [f"  {name} {problem} Example: {name}={example}" for problem in problems]
    return "\n".join(lines)
