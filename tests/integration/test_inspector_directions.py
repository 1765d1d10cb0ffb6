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
    """The rows that are shown, as destination, state and title."""
    lines = re.findall(r"<tr data-id.*?</tr>", page, re.DOTALL)
    cells = [[text_of(cell).strip() for cell in re.findall(r"<td.*?</td>", line)] for line in lines]
    return [f"{row[1]}: {row[2]} {row[5]}" for row in cells]


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


def test_both_are_in_one_stream_or_one_of_them(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    put_call(second, "Bought", account="keyless")
    page = visitor.get("/")
    assert rows_of(page) == ["Drip: held Did Bought", "Segment: pending Hola"]
    assert "Pending 1 Held 1 Waiting for an address 0 Dead 0 Expired 0 Quarantined 0" in text_of(
        page
    )
    assert "2 received, 0 sent" in text_of(page)
    assert "Email Opened 1" in text_of(page)
    assert "track 1" in text_of(page)

    page = visitor.get("/?to=drip")
    assert rows_of(page) == ["Drip: held Did Bought"]
    assert "Shown: all events, to Drip, newest first." in text_of(page)
    assert "Pending 0 Held 1" in text_of(page)
    assert "1 received, 0 sent" in text_of(page)
    assert "Email Opened" not in text_of(page.partition("<figure")[2].partition("</figure")[0])
    assert rows_of(visitor.get("/live?to=segment")) == ["Segment: pending Hola"]
    assert len(visitor.get("/events.jsonl?to=drip").splitlines()) == 1
    assert "sends nothing there" in visitor.get("/?to=mars")


def test_a_stream_begins_with_the_first_event_of_any(visitor: Visitor, second: Direction) -> None:
    assert "Waiting for the first event" in visitor.get("/")
    put_call(second, "Bought")
    assert rows_of(visitor.get("/")) == ["Drip: pending Did Bought"]


def test_filters_work_for_both(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    put_call(second, "Bought")
    put_call(second, "an-id-of-segment")
    for query, found in {
        "q=bought": ["Drip: pending Did Bought"],
        "q=u-9": ["Drip: pending Did an-id-of-segment", "Drip: pending Did Bought"],
        "q=an-id-of-segment": ["Drip: pending Did an-id-of-segment"],
        "q=an-id-of-segment&to=segment": [],
        "collection=track&q=hol": [],
        "state=expired": [],
        "state=pending&to=segment": ["Segment: pending Hola"],
    }.items():
        assert rows_of(visitor.get(f"/?{query}")) == found, query
    chosen = visitor.submit("/search", "/", to="drip", state="pending")
    assert chosen.location == "/?to=drip&state=pending"


def test_an_expired_event_is_shown_as_that(visitor: Visitor, second: Direction) -> None:
    put_call(second, "Bought")
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(events).values(state="expired", settled_at=time.time()))
    page = visitor.get("/?state=expired")
    assert rows_of(page) == ["Drip: expired Did Bought"]
    assert "Expired 1" in text_of(page)
    assert "no address came in time" in visitor.get(link_of(page))


def test_an_event_that_waits_for_an_address_is_shown_as_that(
    visitor: Visitor, second: Direction
) -> None:
    put_call(second, "Bought")
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(events).values(state="unidentified", due_at=time.time() + 60))
    page = visitor.get("/?state=unidentified")
    assert rows_of(page) == ["Drip: unidentified Did Bought"]
    assert "Waiting for an address 1" in text_of(page)
    assert "Waits for an address" in visitor.get(link_of(page))


def test_a_page_has_the_words_of_its_direction(visitor: Visitor, second: Direction) -> None:
    put_call(second, "Bought")
    page = text_of(visitor.get(link_of(visitor.get("/"))))
    for words in ("From Segment to Drip", "What Segment sent", "What Drip gets", "Did Bought"):
        assert words in page
    second.store.pause_account("4417", time.time() + 60, "HTTP 401")
    put_call(second, "Held", account="keyless")
    page = visitor.get(link_of(visitor.get("/?state=held")))
    assert "waits for a token for Drip account keyless. Set the account" in page
    assert "DRIP_API_TOKENS" in page


@pytest.mark.parametrize("name", ["plain", ODD_ID, "drip-0", ".", ".."])
def test_any_message_id_has_a_page_and_is_requeued(
    visitor: Visitor, second: Direction, name: str
) -> None:
    put_call(second, name)
    bury(second)
    url = link_of(visitor.get("/"))
    assert url.startswith("/to/drip/event?id=")
    page = visitor.get(url)
    assert "Given up" in page
    reveal = re.search(r'href="([^"]+)">Reveal', page)
    assert reveal
    assert "Hide addresses" in visitor.get(html.unescape(reveal[1]))
    form = re.search(r'action="(/to/[^"]+)"', page)
    assert form
    action = html.unescape(form[1])
    asked = visitor.submit(action, url)
    assert "Drip never drops repeats" in asked.text
    assert "The event: due now." in visitor.follow(visitor.submit(action, url, sure="1"))


def test_the_same_id_is_another_event_in_each_direction(
    visitor: Visitor, second: Direction
) -> None:
    visitor.bridge.drip_to_segment.store.put([message("twin", received_at=time.time())])
    put_call(second, "twin")
    bury(second)
    assert "Given up" not in visitor.get("/events/twin")
    assert "Given up" in visitor.get("/to/drip/event?id=twin")
    visitor.get("/to/mars/event?id=twin", status=404)
    visitor.get("/to/drip/event", status=404)
    assert "neither dead" in visitor.follow(visitor.submit("/events/twin/requeue", "/sample"))


def test_all_the_dead_are_requeued_or_one_directions(visitor: Visitor, second: Direction) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.bury(time.time())
    put_call(second, "Bought")
    bury(second)
    page = visitor.get("/requeue?which=dead")
    assert "2 events will be due at once" in page
    assert "To Drip: 1 event. Drip never drops repeats" in page
    one = "/requeue?which=dead&to=drip"
    assert html.escape(one) in visitor.get("/?to=drip")
    assert "1 event: due now." in visitor.follow(visitor.submit(one, which="dead"))
    assert rows_of(visitor.get("/?state=dead")) == ["Segment: dead Hola"]
    assert visitor.submit("/requeue?to=mars", "/sample", which="dead").status_code == 400


def test_problems_name_their_direction(visitor: Visitor, second: Direction) -> None:
    second.store.put([call_to_drip("old", received_at=time.time() - 3600)])
    assert "Segment to Drip: The oldest event has waited" in visitor.get("/?to=segment")
