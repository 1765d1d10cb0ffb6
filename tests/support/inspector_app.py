"""The inspector as somebody uses it who is logged in."""

import json
import re
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.engine import URL
from werkzeug.test import TestResponse

from app import create_app
from app.bridge import Bridge
from app.config.settings import Settings
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.messages import Attempt
from tests.support.builders import TOKEN, claim, mark_dead
from tests.support.databases import put_schema

PASSWORD = "a-password-for-the-tests"


def create_inspected(settings: Settings, **kwargs: Any) -> Flask:
    """The app with its inspector on, over the empty outbox of an SQLite file."""
    put_schema(settings.database_url)
    return inspected_over(settings.database_url, settings, **kwargs)


def inspected_over(database_url: URL, settings: Settings, **kwargs: Any) -> Flask:
    """The app with its inspector on, over a database that has the schema."""
    return create_app(
        replace(settings, inspector_password=PASSWORD, database_url=database_url, **kwargs)
    )


def close(app: Flask) -> None:
    """Close the app's connections, once the counts are done that its pages asked for."""
    bridge: Bridge = app.extensions["bridge"]
    for direction in bridge.directions:
        with suppress(StatsUnavailable):
            direction.stats.latest()
    bridge.close()


class Visitor:
    """A browser that is logged in, runs no script, and presses buttons."""

    def __init__(self, app: Flask) -> None:
        self.bridge: Bridge = app.extensions["bridge"]
        self.client: FlaskClient = app.test_client()
        self.submit("/login", password=PASSWORD)

    def get(self, url: str, status: int = 200) -> str:
        """A page, as HTML."""
        answer = self.client.get(url)
        assert answer.status_code == status, answer.text
        return answer.text

    def submit(self, url: str, page: str | None = None, **fields: str) -> TestResponse:
        """Post a form, with the CSRF token of the page that it is on, `url` itself if not told."""
        html = self.get(page or url)
        token = re.search(r'name="csrf_token" value="([^"]+)"', html)
        assert token
        encoding = re.search(r'enctype="([^"]+)"', html)
        return self.client.post(
            url,
            data={"csrf_token": token[1], **fields},
            content_type=encoding[1] if encoding else "application/x-www-form-urlencoded",
        )

    def follow(self, answer: TestResponse) -> str:
        """The page that an act leads to."""
        assert answer.status_code == 303, answer.text
        return self.get(answer.location)

    def post_webhook(self, body: Any) -> str:
        """As Drip does; the message id."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = self.client.post("/webhooks/drip", query_string={"token": TOKEN}, data=raw)
        assert answer.status_code == 200
        return str(answer.get_json().get("message_id", f"raw-{sha256(raw).hexdigest()}"))

    def count_anew(self) -> None:
        """Pages show counts that are some seconds old; the next one is to have new ones."""
        for direction in self.bridge.directions:
            direction.stats.forget()

    def bury(self, now: float) -> None:
        """All that is due dies."""
        mark_dead(
            self.bridge.drip_to_segment.store,
            claim(self.bridge.drip_to_segment.store, now=now),
            Attempt(now, "HTTP 400", "no"),
        )


def webhook(subject: str = "Hola", event: str = "opened_email", **kwargs: Any) -> dict[str, Any]:
    """What Drip posts."""
    subscriber = {"email": "ana@example.com", **kwargs}
    properties = {"delivery_id": subject, "email_id": "e7", "email_subject": subject}
    return {
        "event": f"subscriber.{event}",
        "data": {"account_id": "4417", "subscriber": subscriber, "properties": properties},
        "occurred_at": "2026-11-02T09:30:00Z",
    }


def text_of(page: str) -> str:
    """What a page says, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))
