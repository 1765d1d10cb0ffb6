"""The overview, and `/live`, which keeps it fresh."""

import time

import pytest
from flask import Flask

from app.config.settings import Settings
from tests.support.inspector_app import Visitor, create_inspected, text_of, webhook


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_inspected(settings)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def test_all_is_well(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    for url in ("/", "/live"):
        page = text_of(visitor.get(url))
        assert "All is well: events flow." in page
        assert "Pending 1 Held 0 Dead 0 Quarantined 0" in page
        assert "1 received, 0 sent in the last 60 minutes, by minute." in page


def test_trouble_is_shown_with_what_to_do(visitor: Visitor) -> None:
    visitor.post_webhook(b"[]")
    page = text_of(visitor.get("/"))
    assert "Look after this:" in page
    assert "could not be read" in page


def test_the_chart_counts_by_collection_and_by_hour(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    visitor.post_webhook(webhook("b", "bounced"))
    page = visitor.get("/?per=hour")
    assert 'fill="url(#fill-opened)"' in page.partition("<defs>")[2].partition("legend")[0]
    said = text_of(page)
    assert "2 received, 0 sent in the last 48 hours, by hour." in said
    for counted in ("Email Opened 1", "Email Bounced 1", "Email Delivered 0"):
        assert counted in said
    assert "style=" not in page


def test_live_is_a_fragment(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    page = visitor.get("/live?state=pending")
    assert page.startswith('<div data-part="overview">')
    assert '<div data-part="rows">' in page
    assert "<html" not in page


def test_a_database_that_is_away_is_reported(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE events RENAME TO elsewhere")
    for url in ("/", "/live", "/events/drip-0"):
        assert "The database cannot be read" in visitor.get(url, status=503)


def test_an_open_page_takes_no_write_lock(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET tries = tries")
        began = time.monotonic()
        for url in ("/", "/live", f"/events/{message_id}", "/events.jsonl"):
            visitor.get(url)
        assert time.monotonic() - began < 4
