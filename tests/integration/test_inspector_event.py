"""`/events/<message_id>`: one event whole."""

import time

import pytest
from flask import Flask

from app.config.settings import Settings
from app.outbox.messages import Attempt
from tests.support.builders import claim, mark_dead, mark_sent, reschedule
from tests.support.inspector_app import Visitor, create_inspected, text_of, webhook

ANA = "ana@example.com"


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_inspected(settings)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def test_an_event_shows_both_sides_and_each_fields_way(visitor: Visitor) -> None:
    page = text_of(visitor.get(f"/events/{visitor.post_webhook(webhook('Hola'))}"))
    assert "Email Opened pending" in page
    assert "Due now" in page
    assert "&#34;event&#34;: &#34;subscriber.opened_email&#34;" in page
    assert "&#34;event&#34;: &#34;Email Opened&#34;" in page
    assert "data.properties.email_subject properties.email_subject &#34;Hola&#34; as it is" in page
    assert "None yet." in page


def test_addresses_are_hidden_on_it_until_revealed(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook(f'to {ANA}', user_id=ANA))}"
    lease = claim(visitor.bridge.drip_to_segment.store, now=time.time())
    mark_dead(
        visitor.bridge.drip_to_segment.store, lease, Attempt(time.time(), "HTTP 400", f"not {ANA}")
    )
    for query in ("", "?view=raw"):
        assert "ana@" not in visitor.get(url + query)
        assert "a•••@e•••.com" in visitor.get(url + query)
    assert f"not {ANA}" in visitor.get(f"{url}?reveal=1")
    assert "{&#34;event&#34;: &#34;subscriber.opened" in visitor.get(f"{url}?view=raw")


def test_every_attempt_is_shown_with_time_status_and_words(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook())}"
    store, now = visitor.bridge.drip_to_segment.store, time.time()
    lease = claim(store, now=now)
    reschedule(
        store, lease, {lease.messages[0].id: now + 240}, Attempt(now - 5, "HTTP 503", "<busy>")
    )
    page = text_of(visitor.get(url))
    assert "HTTP 503 &lt;busy&gt;" in page
    assert "Tries again at" in page
    mark_sent(store, claim(store, now=now + 241), now)
    page = text_of(visitor.get(url))
    assert "HTTP 503 &lt;busy&gt;" in page
    assert "sent \u2013" in page
    assert "Segment took it" in page


def test_a_paused_key_is_reported(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook())}"
    visitor.bridge.drip_to_segment.store.pause_account("4417", time.time() + 60, "HTTP 401")
    assert "(HTTP 401). That is tried again each minute." in visitor.get(url)


def test_a_quarantined_webhook_shows_what_could_not_be_read(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(b"[1, caf\xe9]")
    page = visitor.get(f"/events/{message_id}")
    assert "Not text in UTF-8" in page
    assert "caf\\xe9" in page
    assert "Nothing: it could not be read." in page
    assert "Read it again" in page


def test_a_call_of_another_version_is_reported(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE bodies SET payload = replace(payload, '0.1.0', '0.0.9')")
    assert "another version of the bridge" in visitor.get(f"/events/{message_id}")


def test_an_unknown_event_is_not_found(visitor: Visitor) -> None:
    assert "There is no such event" in visitor.get("/events/drip-0", status=404)
