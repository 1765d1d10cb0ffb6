"""What Drip posts, and the app that takes it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Row, select
from werkzeug.test import TestResponse

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from app.database.tables import events, whole
from tests.support.bridge_process import ROOT
from tests.support.builders import TOKEN

OPENED = (ROOT / "samples" / "opened_email.json").read_bytes()


CLICKED = (ROOT / "samples" / "clicked_email.json").read_bytes()


NOBODY = b'{"event": "subscriber.opened_email",\r\n "data": {"subscriber": {}}}\n'


def changed(old: bytes, new: bytes, body: bytes = OPENED) -> bytes:
    """The body with one piece of its JSON replaced."""
    assert body.count(old) == 1
    return body.replace(old, new)


def post(client: FlaskClient, body: bytes, token: str = TOKEN, **kwargs: Any) -> TestResponse:
    kwargs.setdefault("query_string", {"token": token})
    return client.post("/webhooks/drip", data=body, **kwargs)


def rows_of(app: Flask) -> list[Row[Any]]:
    reader = bridge_of(app).store.engine.execution_options(isolation_level="AUTOCOMMIT")
    with reader.connect() as connection:
        return list(connection.execute(select(whole).order_by(events.c.id)))


@contextmanager
def app_over(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    bridge_of(app).close()
