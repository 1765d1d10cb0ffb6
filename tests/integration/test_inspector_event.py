"""`/events/<message_id>`: one event whole."""

import html
import json
import re
import time

import pytest
from flask import Flask

from app.config.settings import Settings
from app.outbox.answers import Answers
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


def test_an_event_shows_both_sides_and_the_field_mapping(visitor: Visitor) -> None:
    page = text_of(visitor.get(f"/events/{visitor.post_webhook(webhook('Hola'))}"))
    assert "Email Opened Queued" in page
    assert "Queued. It goes out" in page
    assert "Happened 2026-11-02 09:30:00 UTC" in page
    assert "&#34;event&#34;: &#34;subscriber.opened_email&#34;" in page
    assert "&#34;event&#34;: &#34;Email Opened&#34;" in page
    assert "To send to Segment" in page
    mapped = "data.properties.email_subject properties.email_subject &#34;Hola&#34; unchanged"
    assert mapped in page
    assert "Field mapping 7 sent · 8 added by the bridge" in page


def test_a_call_begins_with_what_it_is_and_ends_with_integrations(visitor: Visitor) -> None:
    page = visitor.get(f"/events/{visitor.post_webhook(webhook('Hola', user_id='u-81'))}")
    call = re.findall(r'<pre class="code code--body" id="call".*?>(.*?)</pre>', page, re.DOTALL)[0]
    names = list(json.loads(html.unescape(call)))
    assert names[:5] == ["type", "event", "userId", "timestamp", "properties"]
    assert names[-1] == "integrations"


def test_fields_that_are_not_sent_are_apart(visitor: Visitor) -> None:
    body = webhook("Hola", lead_score=40, prospect=False)
    page = visitor.get(f"/events/{visitor.post_webhook(body)}")
    assert "2 profile fields not sent" in text_of(page)
    sent, _, not_sent = page.partition('<details id="not-sent">')
    assert "data.subscriber.lead_score" in not_sent
    assert "data.subscriber.lead_score" not in sent


def test_addresses_are_hidden_on_it_until_they_are_to_be_shown(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook(f'to {ANA}', user_id=ANA))}"
    lease = claim(visitor.bridge.drip_to_segment.store, now=time.time())
    mark_dead(
        visitor.bridge.drip_to_segment.store, lease, Attempt(time.time(), "HTTP 400", f"not {ANA}")
    )
    for query in ("", "?view=raw", "?part=now", "?file=sent", "?file=received"):
        assert "ana@" not in visitor.get(url + query)
    for query in ("", "?view=raw", "?file=sent", "?file=received"):
        assert "a•••@e•••.com" in visitor.get(url + query)
    assert "Show email addresses" in visitor.get(url)
    assert f"not {ANA}" in visitor.get(f"{url}?reveal=1")
    assert "{&#34;event&#34;: &#34;subscriber.opened" in visitor.get(f"{url}?view=raw")


def test_what_came_and_what_is_sent_can_be_downloaded(visitor: Visitor) -> None:
    body = webhook("Hola")
    url = f"/events/{visitor.post_webhook(body)}"
    assert json.loads(visitor.get(f"{url}?file=received&reveal=1")) == body
    assert json.loads(visitor.get(f"{url}?file=sent"))["event"] == "Email Opened"
    answer = visitor.client.get(f"{url}?file=sent")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="event-1-sent.json"'
    visitor.get(f"{url}?file=other", status=404)
    undecodable = visitor.post_webhook(b"caf\xe9 " + ANA.encode())
    assert visitor.get(f"/events/{undecodable}?file=received") == "caf\\xe9 a•••@e•••.com"


def test_every_attempt_is_shown_with_time_status_and_words(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook())}"
    store, now = visitor.bridge.drip_to_segment.store, time.time()
    lease = claim(store, now=now)
    reschedule(
        store, lease, {lease.messages[0].id: now + 240}, Attempt(now - 5, "HTTP 503", "<busy>")
    )
    page = text_of(visitor.get(url))
    assert "Attempt 1: HTTP 503 Response &lt;busy&gt;" in page
    assert "Retrying: attempt 2 at" in page
    mark_sent(store, claim(store, now=now + 241), now)
    page = text_of(visitor.get(url))
    assert "Attempt 1: HTTP 503 Response &lt;busy&gt;" in page
    assert "Attempt 2: delivered" in page
    assert "Sent to Segment" in page
    assert page.count("Segment answered 200") == 1


def test_a_paused_key_is_reported_once(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook())}"
    reason = "HTTP 401: check SEGMENT_WRITE_KEY and SEGMENT_WRITE_KEYS"
    answers, now = Answers(visitor.bridge.engine, "segment"), time.time()
    answers.note("key-for-tests", "refused", reason, now, now + 60, 1)
    page = visitor.get(url)
    assert "Email Opened Paused" in text_of(page)
    assert page.count("SEGMENT_WRITE_KEYS") == 1


def test_a_rejected_webhook_shows_the_problems_found_once(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(b"[1, caf\xe9]")
    page = visitor.get(f"/events/{message_id}")
    assert text_of(page).count("Not text in UTF-8") == 1
    assert page.index("Problems found") < page.index("Received from Drip")
    assert "caf\\xe9" in page
    assert "Retry" in page
    for absent in ("Timeline", "To send", "Attempt", "None"):
        assert absent not in text_of(page)


def test_what_may_change_is_sent_only_if_it_has(visitor: Visitor) -> None:
    url = f"/events/{visitor.post_webhook(webhook())}?part=now"
    first = visitor.client.get(url)
    known = {"If-None-Match": first.headers["ETag"]}
    assert "data-settled" not in first.text
    assert visitor.client.get(url, headers=known).status_code == 304
    visitor.bury(time.time() + 1)
    changed = visitor.client.get(url, headers=known)
    assert changed.status_code == 200
    assert "data-settled" in changed.text
    assert "Failed" in changed.text
    # although its button has a token that is another one each time
    known = {"If-None-Match": changed.headers["ETag"]}
    with visitor.client.session_transaction() as session:
        session["csrf_token"] = "another"
    assert visitor.client.get(url, headers=known).status_code == 304


def test_an_event_leads_to_all_events_of_its_person(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("other", email="bo@example.com"))
    visitor.post_webhook(webhook("first"))
    message_id = visitor.post_webhook(webhook("second"))
    page = visitor.get(f"/events/{message_id}")
    assert f"/events/{message_id}/person" in page
    answer = visitor.client.get(f"/events/{message_id}/person")
    assert "q=~" in answer.location
    listed = text_of(visitor.follow(answer))
    assert "first" in listed
    assert "second" in listed
    assert "b•••@" not in listed
    assert visitor.client.get("/events/drip-0/person").status_code == 404


def test_a_call_of_another_version_is_reported(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE bodies SET payload = replace(payload, '0.1.0', '0.0.9')")
    assert "another version of the bridge" in visitor.get(f"/events/{message_id}")


def test_an_unknown_event_is_not_found(visitor: Visitor) -> None:
    assert "There is no such event" in visitor.get("/events/drip-0", status=404)
