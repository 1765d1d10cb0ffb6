"""The parts of one running bridge, made once from its settings."""

from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy.exc import SQLAlchemyError

from app.delivery import Delivery
from app.errors import CannotStart
from app.outbox.engine import describe, open_database
from app.outbox.group_commit import GroupCommit
from app.outbox.schema import make_ready
from app.outbox.store import Store
from app.settings import Settings
from app.source.segment import Segment


@dataclass(frozen=True)
class Bridge:
    """What the webhook puts into, what the delivery loop takes from, and how they were set."""

    settings: Settings
    store: Store
    outbox: GroupCommit
    delivery: Delivery


def build_bridge(settings: Settings) -> Bridge:
    """Nothing is connected and no thread runs yet: a process may still fork."""
    store = Store(open_database(settings.database_url))
    segment = Segment(settings.segment_host, settings.write_key, settings.write_keys)
    return Bridge(settings, store, GroupCommit(store), Delivery(store, segment))


def bridge_of(app: Flask = current_app) -> Bridge:
    """The bridge that `create_app` built for this app."""
    bridge: Bridge = app.extensions["bridge"]
    return bridge


def check_database(settings: Settings) -> None:
    """Raises `CannotStart` where the database is not one to work with, and leaves no connection.

    A PostgreSQL out of reach is no reason: it may be back in a minute, and until then each webhook
    is answered with a 429, after which Drip sends it again.
    """
    engine = open_database(settings.database_url)
    try:
        make_ready(engine)
    except SQLAlchemyError as error:
        if engine.dialect.name == "sqlite":
            raise CannotStart(f"DATABASE_URL: cannot use the file. {describe(error)}") from None
    finally:
        engine.dispose()
