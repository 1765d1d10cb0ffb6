"""The inspector over a bridge with two directions: one stream, each event with its own words."""

import html
import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import update

from app.config.settings import Settings
from app.database.tables import events
from app.direction import Direction
from app.outbox.messages import Attempt
from tests.support.builders import claim, mark_dead, message
from tests.support.databases import put_schema
from tests.support.inspector_app import PASSWORD, Visitor, text_of, webhook
from tests.support.two_directions import call_to_drip, second_of, two_directions

ODD_ID = "../a/b?c=d&e=%2F#f é"


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    put_schema(settings.database_url)
    with two_directions(replace(settings, inspector_password=PASSWORD)) as app:
        yield app


@pytest.fixture
def second(app: Flask) -> Direction:
    return second_of(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def rows_of(page: str) -> list[str]:
    """The rows that are shown, as destination, status and title."""
    lines = re.findall(r"<tr data-id.*?</tr>", page, re.DOTALL)
    cells = [
        [text_of(cell).strip() for cell in re.findall(r"<td.*?</td>", line, re.DOTALL)]
        for line in lines
    ]
    return [f"{row[5]}: {row[1]} {row[4]}" for row in cells]


def read(visitor: Visitor, url: str) -> str:
    """The page as HTML, with new counts."""
    visitor.count_anew()
    return visitor.get(url)


def link_of(page: str) -> str:
    """The link to the first event that is shown."""
    found = re.search(r'id="event-\d+" href="([^"]+)"', page)
    assert found
    return html.unescape(found[1])


def put_call(second: Direction, name: str, **changes: str) -> None:
    second.store.put([call_to_drip(name, received_at=time.time(), **changes)])


def bury(second: Direction) -> None:
    lease = claim(second.store, now=time.time())
    mark_dead(second.store, lease, Attempt(time.time(), "HTTP 422", "no"))


def test_both_are_in_one_list_or_one_of_them(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    put_call(second, "Bought", account="keyless")
    assert rows_of(visitor.get("/events")) == ["Drip: Held Did Bought", "Segment: Queued Hola"]
    assert rows_of(visitor.get("/events?to=drip")) == ["Drip: Held Did Bought"]
    assert rows_of(visitor.get("/live/events?to=segment")) == ["Segment: Queued Hola"]
    assert len(visitor.get("/events.jsonl?to=drip").splitlines()) == 1
    assert rows_of(visitor.get("/events?to=mars")) == []


def test_the_overview_is_of_both_or_one_of_them(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    put_call(second, "Bought", account="keyless")
    page = text_of(read(visitor, "/"))
    assert "Received 2 Delivered 0 Waiting now 2" in page
    for counted in ("Email Opened 1 0 0 0", "track 1 0 0 0", "Webhooks from Segment last"):
        assert counted in page
    page = text_of(read(visitor, "/?to=drip"))
    assert "Received 1 Delivered 0 Waiting now 1 1 held" in page
    assert "Email Opened" not in page
    assert "Webhooks from Drip" not in page


def test_the_overview_begins_with_the_first_event_of_any(
    visitor: Visitor, second: Direction
) -> None:
    assert visitor.client.get("/").location == "/setup"
    put_call(second, "Bought")
    assert "Received 1" in text_of(visitor.get("/"))
    assert "Nothing has come yet" in text_of(visitor.get("/?to=segment"))


def test_filters_work_for_both(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    put_call(second, "Bought")
    put_call(second, "an-id-of-segment")
    for query, found in {
        "q=bought": ["Drip: Queued Did Bought"],
        "q=u-9": ["Drip: Queued Did an-id-of-segment", "Drip: Queued Did Bought"],
        "q=an-id-of-segment": ["Drip: Queued Did an-id-of-segment"],
        "q=an-id-of-segment&to=segment": [],
        "collection=track&q=hol": [],
        "state=expired": [],
        "state=pending&to=segment": ["Segment: Queued Hola"],
    }.items():
        assert rows_of(visitor.get(f"/events?{query}")) == found, query
    chosen = visitor.submit("/search", "/events", to="drip", state="pending")
    assert chosen.location == "/events?to=drip&state=pending"


def test_an_expired_event_is_shown_as_that(visitor: Visitor, second: Direction) -> None:
    put_call(second, "Bought")
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(events).values(state="expired", settled_at=time.time()))
    page = read(visitor, "/events?state=expired")
    assert [row.split()[:2] for row in rows_of(page)] == [["Drip:", "Expired"]]
    assert "no email address became known" in visitor.get(link_of(page))


def test_an_event_that_waits_for_an_address_is_shown_as_that(
    visitor: Visitor, second: Direction
) -> None:
    put_call(second, "Bought")
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(events).values(state="unidentified", due_at=time.time() + 60))
    page = read(visitor, "/events?state=unidentified")
    assert rows_of(page) == ["Drip: Held Did Bought"]
    assert "Held: no email address is known" in visitor.get(link_of(page))


def test_a_page_has_the_words_of_its_direction(visitor: Visitor, second: Direction) -> None:
    put_call(second, "Bought")
    page = text_of(visitor.get(link_of(visitor.get("/events"))))
    for words in ("Received from Segment", "To send to Drip", "Did Bought"):
        assert words in page
    put_call(second, "Held", account="keyless")
    page = visitor.get(link_of(visitor.get("/events?state=held")))
    assert "Held: no token of account keyless. Set DRIP_API_TOKENS, and restart" in page
    assert "DRIP_API_TOKENS" in page


@pytest.mark.parametrize("name", ["plain", ODD_ID, "drip-0", ".", ".."])
def test_any_message_id_has_a_page_and_is_retried(
    visitor: Visitor, second: Direction, name: str
) -> None:
    put_call(second, name)
    bury(second)
    url = link_of(visitor.get("/events"))
    assert url.startswith("/to/drip/event?id=")
    page = visitor.get(url)
    assert "Failed: Drip answered HTTP 422" in page
    for pattern in (r'data-now="([^"]+)"', r'href="([^"]+)" download'):
        part = re.search(pattern, page)
        assert part
        visitor.get(html.unescape(part[1]))
    reveal = re.search(r'href="([^"]+)">Show email', page)
    assert reveal
    assert "Hide email addresses" in visitor.get(html.unescape(reveal[1]))
    form = re.search(r'action="(/to/[^"]+)"', page)
    assert form
    action = html.unescape(form[1])
    asked = visitor.submit(action, url)
    assert "Drip never drops repeats" in asked.text
    assert "Due now." in visitor.follow(visitor.submit(action, url, sure="1"))


def test_the_same_id_is_another_event_in_each_direction(
    visitor: Visitor, second: Direction
) -> None:
    visitor.bridge.drip_to_segment.store.put([message("twin", received_at=time.time())])
    put_call(second, "twin")
    bury(second)
    assert "badge--dead" not in visitor.get("/events/twin")
    assert "badge--dead" in visitor.get("/to/drip/event?id=twin")
    visitor.get("/to/mars/event?id=twin", status=404)
    visitor.get("/to/drip/event", status=404)
    visitor.follow(visitor.submit("/events/twin/dismiss", "/sample"))
    visitor.count_anew()
    assert "Failed 1" in text_of(visitor.get("/issues"))


def test_one_directions_failed_ones_are_retried(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.bury(time.time())
    put_call(second, "Bought")
    bury(second)
    asked = text_of(visitor.submit("/retry?state=dead", "/sample").text)
    assert "Retry 2 events?" in asked
    assert "1 event: Drip never drops repeats" in asked
    page = visitor.follow(visitor.submit("/retry?state=dead&to=drip", "/sample", sure="1"))
    assert "1 event: due now." in page
    assert [row.split()[:2] for row in rows_of(visitor.get("/events?state=dead"))] == [
        ["Segment:", "Failed"]
    ]
    assert visitor.submit("/retry?state=dead&to=mars", "/sample").status_code == 400


def test_issues_name_their_direction_and_can_be_of_one(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.bury(time.time())
    put_call(second, "Bought")
    bury(second)
    page = text_of(read(visitor, "/issues"))
    assert "HTTP 400: no" in page
    assert "HTTP 422: no" in page
    page = text_of(visitor.get("/issues?to=drip"))
    assert "Segment → Drip. The latest of them" in page
    assert "HTTP 400: no" not in page


def test_problems_name_their_direction(visitor: Visitor, second: Direction) -> None:
    put_call(second, "Bought", account="keyless")
    assert "Segment → Drip: No" in text_of(read(visitor, "/"))
