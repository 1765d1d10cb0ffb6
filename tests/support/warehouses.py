"""Real warehouses: a DuckDB beside an SQLite outbox, a PostgreSQL beside a PostgreSQL."""

import json
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg
from sqlalchemy import Engine
from sqlalchemy.engine import URL

from app.outbox.erasures import Erasures
from app.outbox.loads import Loads
from app.outbox.messages import Message
from app.outbox.pruning import DAY
from app.warehouse.load import Loader
from app.warehouse.target import Target
from tests.support.builders import translated

SCHEMA = "drip"

RECEIVED_AT = datetime(2026, 11, 3, 12, tzinfo=UTC).timestamp()


def loader_for(engine: Engine, url: URL, *destinations: str) -> Loader:
    target = Target(url, SCHEMA, destinations or ("segment",))
    loads = Loads(engine, target.fingerprint, target.destinations, 7 * DAY)
    return Loader(engine, target, loads, Erasures(engine, target.fingerprint))


def query(url: URL, statement: str) -> list[tuple[Any, ...]]:
    """What the warehouse answers to anybody else."""
    if url.drivername == "duckdb":
        with duckdb.connect(url.database or "", read_only=True) as connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        return connection.execute(statement.encode()).fetchall()


def ids(url: URL, table: str = "tracks") -> list[str]:
    return [row[0] for row in query(url, f"SELECT id FROM {SCHEMA}.{table} ORDER BY id")]


def opened(name: str, person: str = "ana@example.com", **properties: Any) -> Message:
    """The message of somebody who opened an email."""
    return emailed("opened_email", name, person, **properties)


def emailed(
    event: str,
    name: str,
    person: str = "ana@example.com",
    at: str = "2026-11-02T09:30:00Z",
    **properties: Any,
) -> Message:
    """The message of something that Drip says of an email."""
    sent = {"delivery_id": name, "email_id": "31", "email_subject": "Hi", **properties}
    body = {
        "event": f"subscriber.{event}",
        "occurred_at": at,
        "data": {
            "account_id": "4417",
            "subscriber": {"id": name, "email": person},
            "properties": sent,
        },
    }
    return translated(json.dumps(body).encode(), RECEIVED_AT)
