"""The app in this process: what is posted to it, what it keeps, and its commands."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Row
from werkzeug.test import TestResponse

from app import create_app
from app.bridge import bridge_of
from app.config.settings import Settings
from tests.support.builders import TOKEN, rows


def post(client: FlaskClient, body: bytes, token: str = TOKEN, **kwargs: Any) -> TestResponse:
    kwargs.setdefault("query_string", {"token": token})
    return client.post("/webhooks/drip", data=body, **kwargs)


def rows_of(app: Flask) -> list[Row[Any]]:
    """All that the app keeps, in the order in which it was put."""
    return list(rows(bridge_of(app).drip_to_segment.store).values())


def run(app: Flask, *arguments: str, stdin: bytes | str = "") -> Result:
    """A command of the app."""
    given = io.BytesIO(stdin) if isinstance(stdin, bytes) else stdin
    return app.test_cli_runner().invoke(args=arguments, input=given)


@contextmanager
def app_over(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    bridge_of(app).close()
