"""What every answer of the inspector tells the browser."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.config.settings import Settings
from tests.support.inspector_app import Visitor, close, create_inspected, webhook

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

PAGES = [
    "/",
    "/login",
    "/live/overview",
    "/events",
    "/live/events",
    "/events.jsonl",
    "/events/none",
]
PAGES += ["/issues", "/setup", "/live/setup", "/erase", "/sample"]
STATIC = ["inspector.css", "pages.css", "events.css", "inspector.js", "event.js", "icon.svg"]
STATIC += ["icon-attention.svg"]


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_inspected(settings)
    yield app
    close(app)


def assert_strict(client: FlaskClient, method: str, path: str) -> None:
    with client.open(path, method=method) as answer:
        assert HEADERS.items() <= dict(answer.headers).items(), path
        assert answer.headers["Cache-Control"] == "no-store", path


@pytest.mark.parametrize("path", PAGES)
def test_every_page_forbids_what_it_does_not_need(app: Flask, path: str) -> None:
    assert_strict(app.test_client(), "GET", path)
    assert_strict(Visitor(app).client, "GET", path)


def test_refusals_do_too(app: Flask) -> None:
    assert_strict(app.test_client(), "POST", "/login")
    assert_strict(Visitor(app).client, "POST", "/erase")


def test_the_page_of_one_that_is_off_does_too(settings: Settings, client: FlaskClient) -> None:
    assert settings.inspector_password is None
    assert_strict(client, "GET", "/")


@pytest.mark.parametrize("name", STATIC)
def test_a_static_file_may_be_kept_but_is_asked_for_again(app: Flask, name: str) -> None:
    with app.test_client().get(f"/inspector-static/{name}") as answer:
        assert answer.status_code == 200
        assert HEADERS.items() <= dict(answer.headers).items()
        assert answer.headers["Cache-Control"] == "no-cache"
        tag = answer.headers["ETag"]
    known = {"If-None-Match": tag}
    with app.test_client().get(f"/inspector-static/{name}", headers=known) as again:
        assert again.status_code == 304


def test_no_page_needs_what_the_policy_forbids(app: Flask) -> None:
    """No script or style stands in a page, and nothing comes from another host."""
    visitor = Visitor(app)
    message_id = visitor.post_webhook(webhook())
    visitor.post_webhook(b"[]")
    paths = ["/", "/events", "/issues", "/setup", f"/events/{message_id}", "/erase", "/sample"]
    pages = [app.test_client().get("/login").text, *map(visitor.get, paths)]
    for page in pages:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
        assert not re.search(r"<script(?![^>]*\ssrc=)", page)
        sources = re.findall(r'<(?:script|link|img)[^>]*\s(?:src|href)="([^"]*)"', page)
        assert len(sources) >= 3
        assert all(source.startswith("/inspector-static/") for source in sources)


def test_other_answers_stay_as_they_are(app: Flask) -> None:
    for path in ("/healthz", "/no-such-page"):
        answer = app.test_client().get(path)
        assert answer.is_json
        assert "Content-Security-Policy" not in answer.headers
