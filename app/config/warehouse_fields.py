"""Marshmallow fields for the warehouse."""

import re
from typing import Any

from marshmallow import ValidationError, fields
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.formatting import read_duration


class WarehouseUrl(fields.Field[URL]):
    """The URL of a DuckDB file or a PostgreSQL, or the name that dlt has for another kind of
    database."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> URL:
        if re.fullmatch(r"[a-z_]+", value.strip()):
            return URL.create(value.strip())
        try:
            url = make_url(value.strip())
        except (ArgumentError, ValueError):  # a port that is no number
            raise ValidationError("is no database URL, and no name of a destination.") from None
        if url.drivername in ("postgres", "postgresql"):
            return _postgresql(url)
        if url.drivername != "duckdb":
            raise ValidationError("names neither DuckDB nor PostgreSQL, nor a destination of dlt.")
        if url.host:
            raise ValidationError("is no database URL: a file's has three slashes or four.")
        if not url.database or url.database.startswith(":"):
            raise ValidationError("names no file.")
        return url


def _postgresql(url: URL) -> URL:
    if not url.database:
        raise ValidationError("names no database.")
    if not (url.host or url.query.get("host")):
        raise ValidationError("names no server.")
    if not url.username:
        raise ValidationError("names no user.")
    return url.set(drivername="postgresql")


class SchemaName(fields.Field[str]):
    """The name of a schema, as every database takes it without quotes."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> str:
        name = value.strip()
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > 50:
            raise ValidationError("must be small letters, digits and single underscores.")
        return name


class Duration(fields.Field[float]):
    """A span of time such as "10m", in seconds."""

    def _deserialize(self, value: str, *_: Any, **__: Any) -> float:
        seconds = read_duration(value.strip())
        if not seconds:
            raise ValidationError("must be a number with s, m, h or d behind it.")
        return seconds
