"""The issues: what failed or was rejected, by reason, with what it means and what to press."""

import html
import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine

from app.config.settings import Settings
from app.monitoring import stats_cache
from app.outbox.answers import Answers
from app.outbox.messages import Attempt
from tests.support.builders import claim, mark_dead, reschedule
from tests.support.inspector_app import Visitor, close, inspected_over, text_of, webhook

TOO_LONG = "properties.email_subject is too long"


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn."""
    app = inspected_over(engine.url, settings)
    yield app
    close(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def fail(visitor: Visitor, subject: str, words: str, reason: str = "HTTP 400") -> str:
    """An event that the destination does not take, and why."""
    message_id = visitor.post_webhook(webhook(subject))
    store = visitor.bridge.drip_to_segment.store
    mark_dead(store, claim(store, now=time.time()), Attempt(time.time(), reason, words))
    return message_id


def read(visitor: Visitor) -> str:
    """The page as HTML, with new counts."""
    visitor.count_anew()
    return visitor.get("/issues")


def test_without_any_the_page_says_what_would_be_there(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    assert "No issue is open. Events that failed or were rejected" in read(visitor)


@pytest.mark.parametrize("url", ["/issues", "/events?issue=0123456789ab"])
def test_a_database_that_does_not_answer_is_reported_in_words(
    visitor: Visitor, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as impatient:
        impatient.setattr(stats_cache, "PATIENCE", 0.0)
        visitor.bridge.drip_to_segment.stats.forget()
        answer = visitor.client.get(url)
    assert answer.status_code == 503
    assert "The database does not answer" in text_of(answer.text)


def test_failures_are_grouped_by_reason(visitor: Visitor) -> None:
    for subject in ("a", "b"):
        latest = fail(visitor, subject, TOO_LONG)
    fail(visitor, "c", "no such property")
    visitor.post_webhook(b"[]")
    page = read(visitor)
    said = text_of(page)
    assert f"Failed 2 \N{MULTIPLICATION SIGN} HTTP 400: {TOO_LONG}" in said
    assert "Failed 1 \N{MULTIPLICATION SIGN} HTTP 400: no such property" in said
    assert "Rejected 1 \N{MULTIPLICATION SIGN}" in said
    assert "Segment answered 400: it found a fault in the event." in said
    assert "not tried again by themselves" in said
    assert "Retry it after an upgrade" in said
    assert f'<a href="/events/{latest}">The latest of them</a>' in page
    assert page.index("Rejected</span>") < page.index("no such property") < page.index(TOO_LONG)


def test_the_number_beside_the_navigation_counts_them(visitor: Visitor) -> None:
    assert "nav__count" not in read(visitor)
    fail(visitor, "a", TOO_LONG)
    fail(visitor, "b", "no such property")
    assert '<span class="nav__count">2</span>' in read(visitor)


@pytest.mark.parametrize("verb", ["retry", "dismiss"])
def test_the_buttons_act_on_one_issue(visitor: Visitor, verb: str) -> None:
    for subject in ("a", "b"):
        fail(visitor, subject, TOO_LONG)
    fail(visitor, "c", "no such property")
    page = read(visitor)
    section = page.partition(TOO_LONG)[2].partition("</section>")[0]
    action = re.search(rf'action="(/{verb}[^"]+)"', section)
    assert action
    assert f"{verb.capitalize()} 2" in section
    answer = visitor.submit(html.unescape(action[1]), "/issues", next="/issues")
    assert answer.location == "/issues"
    done = {"retry": "2 events: due now.", "dismiss": "2 events dismissed."}[verb]
    assert done in visitor.follow(answer)
    left = text_of(read(visitor))
    assert TOO_LONG not in left
    assert "no such property" in left


def test_the_events_of_an_issue_are_a_list(visitor: Visitor) -> None:
    fail(visitor, "a", TOO_LONG)
    fail(visitor, "c", "no such property")
    page = read(visitor)
    section = page.partition(TOO_LONG)[2].partition("</section>")[0]
    link = re.search(r'href="(/events[?][^"]+)"', section)
    assert link
    assert visitor.get(html.unescape(link[1])).count("data-id=") == 1


def test_an_issue_shows_nobodys_address(visitor: Visitor) -> None:
    fail(visitor, "a", "no such person: ana@example.com")
    page = read(visitor)
    assert "no such person" in page
    assert "ana@" not in page


def test_what_a_destination_wrote_is_only_ever_text(visitor: Visitor) -> None:
    fail(visitor, "a", "<script>alert(1)</script>")
    page = read(visitor)
    assert "alert(" in page
    assert "<script>alert" not in page
    assert page.count("<script") == page.count('<script src="/inspector-static/')


def test_what_keeps_events_waiting_comes_first(visitor: Visitor) -> None:
    visitor.bridge.heartbeat.beat()
    fail(visitor, "a", TOO_LONG)
    visitor.post_webhook(webhook("b"))
    direction, now = visitor.bridge.drip_to_segment, time.time()
    lease = claim(direction.store, now=now)
    later = {each.id: now + 60 for each in lease.messages}
    reschedule(direction.store, lease, later, Attempt(now, "HTTP 500"))
    answers = Answers(visitor.bridge.engine, "segment")
    answers.note("key-for-tests", "failing", "HTTP 500", now - 120, now + 60, 4)
    answers.note("key-for-tests", "failing", "HTTP 500", now, now + 60, 1)
    said = text_of(read(visitor))
    assert "Segment is not accepting events (HTTP 500) 1 event waiting since" in said
    assert "none lost" in said
    assert said.index("not accepting events") < said.index(TOO_LONG)
    page = visitor.follow(visitor.submit("/retry?state=pending&to=segment", "/issues"))
    assert "1 event: due now." in page
