"""The overview: what is wrong, what went, what was checked; and its part that refreshes."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from app.config.settings import Settings
from app.database.tables import skipped
from app.inspector import overview
from app.outbox.messages import Attempt
from app.outbox.skipped import write_skipped
from tests.support.builders import claim, mark_sent, reschedule
from tests.support.inspector_app import Visitor, close, inspected_over, text_of, webhook


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn; only account 4417 has a key."""
    keys = {"4417": "a-key"}
    app = inspected_over(engine.url, settings, write_key=None, write_keys=keys)
    yield app
    close(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def send(visitor: Visitor, *, has_failed_before: bool = False) -> None:
    """As the deliverer does, with all that is due."""
    store, now = visitor.bridge.drip_to_segment.store, time.time()
    if has_failed_before:
        lease = claim(store, now=now)
        reschedule(
            store, lease, {each.id: now for each in lease.messages}, Attempt(now, "HTTP 500")
        )
    mark_sent(store, claim(store, now=now), now)


def read(visitor: Visitor, url: str = "/") -> str:
    """What the page says now."""
    visitor.count_anew()
    return text_of(visitor.get(url))


def test_it_says_that_events_are_delivered_only_if_they_are(visitor: Visitor) -> None:
    visitor.bridge.heartbeat.beat()
    visitor.post_webhook(webhook())
    page = read(visitor)
    assert "Delivering normally" not in page
    assert "Nothing was delivered lately; 1 event waiting." in page
    send(visitor)
    assert re.search(
        r"Delivering normally: 1 in the last hour, the last one .+; nothing waits", read(visitor)
    )


def test_it_does_not_say_so_a_while_after_the_last_one(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.post_webhook(webhook())
    send(visitor)
    monkeypatch.setattr(overview, "LATELY", -1.0)
    assert "Delivering normally" not in read(visitor)
    assert "Nothing was delivered lately; nothing waits." in read(visitor)


def test_a_problem_is_shown_with_what_to_press(visitor: Visitor) -> None:
    for name in ("a", "b"):
        visitor.post_webhook(webhook(name))
    visitor.bury(time.time())
    visitor.post_webhook(b"[]")
    visitor.count_anew()
    page = visitor.get("/")
    said = text_of(page)
    assert "Needs attention (2)" in said
    assert "Warning: 2 events failed: HTTP 400" in said
    assert "Warning: 1 webhook from Drip could not be read" in said
    assert "Delivering normally" not in said
    assert "Retry 2 Dismiss 2 Show" in said
    assert 'href="/issues?to=segment"' in page
    answer = visitor.submit("/retry?state=dead&to=segment", "/", next="/")
    assert (answer.status_code, answer.location) == (303, "/")
    assert "2 events: due now." in text_of(visitor.get("/"))


def test_what_waits_without_a_key_is_no_failure(visitor: Visitor) -> None:
    other = webhook()
    other["data"]["account_id"] = "5150"
    visitor.post_webhook(other)
    page = read(visitor)
    assert "Nothing to do yet" in page
    assert "No write key is set for 1 Drip account" in page
    assert "Waiting now 1 1 held" in page


def test_the_figures_count_what_became_of_events(visitor: Visitor) -> None:
    for name in ("a", "b"):
        visitor.post_webhook(webhook(name))
    send(visitor)
    visitor.post_webhook(webhook("c", "bounced"))
    send(visitor, has_failed_before=True)
    visitor.post_webhook(webhook("d"))
    visitor.bury(time.time())
    visitor.post_webhook(webhook("e"))
    page = read(visitor)
    assert "Received 5 Delivered 3 66.7 % at the first try Waiting now 1 1 queued Failed 1" in page
    assert "Delivered at the first try 2 Delivered after retries 1 Failed 1" in page
    assert "Email Opened 4 2 0 1 Email Bounced 1 1 1 0" in page
    assert re.search(r"Receipt to Segment \d\.\d\d s p95 of the latest 3", page)


def test_what_is_not_kept_is_counted_by_reason(visitor: Visitor) -> None:
    write_skipped(visitor.bridge.engine)  # what other tests in this process have counted
    with visitor.bridge.engine.begin() as connection:
        connection.execute(skipped.delete())
    visitor.post_webhook(webhook())
    visitor.post_webhook(webhook())
    visitor.client.post("/webhooks/drip?token=wrong", data=b"{}")
    write_skipped(visitor.bridge.engine)
    assert "Not kept: 1 duplicate, 1 wrong token." in read(visitor)


@pytest.mark.parametrize(
    ("last", "heading", "times"),
    [
        ("15m", "Last 15 minutes", r"\d\d:\d\d \d\d:\d\d"),
        ("1h", "Last hour", r"\d\d:\d\d \d\d:\d\d"),
        ("24h", "Last 24 hours", r"\d+ [A-Z][a-z]{2} \d\d:\d\d"),
        ("7d", "Last 7 days", r"\d+ [A-Z][a-z]{2} \d\d:\d\d"),
        ("forever", "Last hour", r"\d\d:\d\d \d\d:\d\d"),
    ],
)
def test_the_span_can_be_chosen(visitor: Visitor, last: str, heading: str, times: str) -> None:
    visitor.post_webhook(webhook())
    send(visitor)
    visitor.count_anew()
    page = visitor.get(f"/?last={last}")
    assert f"{heading} 15 min 1 h 24 h 7 days" in text_of(page)
    assert re.search(times, text_of(page.partition("chart__times")[2].partition("legend")[0]))
    assert 'fill="url(#fill-delivered)"' in page
    assert "style=" not in page
    assert page.count('aria-current="true"') == 1


def test_the_checks_say_what_was_seen(visitor: Visitor) -> None:
    nothing = read(visitor, "/live/overview")
    assert "Webhooks from Drip none yet Segment nothing sent yet" in nothing
    assert "Deliverers none has reported lately" in nothing
    assert "Safe to restart nothing waits" in nothing
    visitor.bridge.heartbeat.beat()
    visitor.post_webhook(webhook())
    page = read(visitor)
    assert re.search(r"Webhooks from Drip last (now|\d s ago)", page)
    assert re.search(r"Deliverers 1 running, seen (now|\d s ago)", page)
    assert "Safe to restart 1 waiting event is on disk" in page
    assert re.search(r"Database (SQLite|PostgreSQL), \d+\.\d MB", page)


def test_live_is_the_part_that_changes(visitor: Visitor) -> None:
    visitor.post_webhook(b"[]")
    visitor.count_anew()
    page = visitor.get("/live/overview?last=24h")
    assert page.startswith('<div data-part="overview" data-attention="1">')
    assert "Last 24 hours" in page
    assert "<html" not in page
    assert 'data-live="/live/overview?last=24h"' in visitor.get("/?last=24h")


def test_a_database_that_is_away_is_reported(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE traffic RENAME TO elsewhere")
    for url in ("/", "/live/overview"):
        assert "The database cannot be read" in visitor.get(url, status=503)


def test_an_open_page_takes_no_write_lock(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE events SET tries = tries")
        began = time.monotonic()
        for url in ("/", "/live/overview", "/events", "/issues", f"/events/{message_id}"):
            visitor.get(url)
        assert time.monotonic() - began < 4


def test_an_open_page_does_not_count_each_time(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    visitor.get("/")
    visitor.bridge.drip_to_segment.stats.latest()
    statements: list[str] = []

    def note(*of_cursor: Any) -> None:
        statements.append(of_cursor[2])

    event.listen(visitor.bridge.engine, "before_cursor_execute", note)
    for _ in range(3):
        visitor.get("/live/overview")
    event.remove(visitor.bridge.engine, "before_cursor_execute", note)
    assert statements
    assert not [statement for statement in statements if "GROUP BY events" in statement]
