"""With nothing kept, the page is the guide to the first event."""

import pytest

from app.config.settings import Settings
from tests.support.builders import TOKEN
from tests.support.inspector_app import Visitor, create_inspected, webhook


@pytest.fixture
def visitor(settings: Settings) -> Visitor:
    return Visitor(create_inspected(settings))


def test_the_webhooks_url_is_there_to_copy_once_revealed(visitor: Visitor) -> None:
    assert TOKEN not in visitor.get("/")
    assert "http://localhost/webhooks/drip?token=•••" in visitor.get("/")
    page = visitor.get("/?reveal=1")
    assert page.count(f"http://localhost/webhooks/drip?token={TOKEN}") == 2
    assert "flask drip connect http://localhost<" in page


def test_the_write_keys_state_is_shown_and_no_key(settings: Settings, visitor: Visitor) -> None:
    page = visitor.get("/")
    assert "A write key is set" in page
    assert str(settings.write_key) not in page
    keyless = Visitor(create_inspected(settings, write_key=None))
    assert "No write key is set." in keyless.get("/")
    keyed = Visitor(create_inspected(settings, write_key=None, write_keys={"4417": "secret"}))
    assert "for Drip accounts 4417" in keyed.get("/")
    assert "secret:" not in keyed.get("/")


def test_the_first_event_ends_the_waiting(visitor: Visitor) -> None:
    assert "Waiting for the first event" in visitor.get("/")
    assert visitor.get("/live", status=204) == ""
    visitor.post_webhook(webhook())
    assert "Waiting for the first event" not in visitor.get("/")
    visitor.get("/live", status=200)
