"""What is around every page: navigation, title and icon; and the page for an unknown address."""

import re
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from app import create_app
from app.config.settings import Settings
from tests.support.databases import put_schema
from tests.support.inspector_app import PASSWORD, Visitor, create_inspected, webhook
from tests.support.two_directions import two_directions

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture
def app(settings: Settings) -> Flask:
    return create_inspected(settings)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    """Of a bridge that has had an event: before the first one, `/` leads to the set-up."""
    visitor = Visitor(app)
    visitor.post_webhook(webhook("first"))
    return visitor


@pytest.fixture
def of_two(settings: Settings) -> Iterator[Visitor]:
    """A visitor of a bridge with both directions."""
    put_schema(settings.database_url)
    with two_directions(replace(settings, inspector_password=PASSWORD)) as app:
        visitor = Visitor(app)
        visitor.post_webhook(webhook())
        yield visitor


def links(page: str, label: str) -> list[tuple[str, str]]:
    """The addresses and the words of a navigation, with * for where one is."""
    nav = page.partition(f'aria-label="{label}"')[2].partition("</nav>")[0]
    found = re.findall(r'<a href="([^"]+)"([^>]*)>([^<]+)', nav)
    return [(url, words.strip() + "*" * ("aria-current" in rest)) for url, rest, words in found]


@pytest.mark.parametrize(
    ("url", "here"),
    [("/", "Overview"), ("/events", "Events"), ("/issues", "Issues"), ("/sample", "")],
)
def test_every_page_leads_to_the_others(visitor: Visitor, url: str, here: str) -> None:
    pages = links(visitor.get(url), "Main")
    assert [where for where, _ in pages][:3] == ["/", "/events", "/issues"]
    assert [words for _, words in pages if words.endswith("*")] == [f"{here}*"] * bool(here)


def test_an_event_belongs_to_events(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    assert ("/events", "Events*") in links(visitor.get(f"/events/{message_id}"), "Main")


def test_one_direction_needs_no_switch(visitor: Visitor) -> None:
    assert "Directions" not in visitor.get("/")


def test_the_chosen_direction_is_kept_from_page_to_page(of_two: Visitor) -> None:
    assert links(of_two.get("/"), "Directions") == [
        ("/", "All*"),
        ("/?to=segment", "Drip → Segment"),
        ("/?to=drip", "Segment → Drip"),
    ]
    page = of_two.get("/issues?to=drip")
    assert ("/issues?to=drip", "Segment → Drip*") in links(page, "Directions")
    assert [url for url, _ in links(page, "Main")][:3] == [
        "/?to=drip",
        "/events?to=drip",
        "/issues?to=drip",
    ]
    assert ("/", "Overview*") in links(of_two.get("/?to=mars"), "Main")


def test_title_and_icon_say_that_something_needs_attention(visitor: Visitor) -> None:
    visitor.bridge.heartbeat.beat()
    visitor.post_webhook(webhook())
    page = visitor.get("/issues")
    assert "<title>Issues · Bridge</title>" in page
    assert re.search(r'rel="icon"[^>]* href="/inspector-static/icon.svg"', page)
    visitor.bury(time.time())
    visitor.post_webhook(b"[]")
    visitor.count_anew()
    visitor.get("/")
    page = visitor.get("/sample")
    assert "<title>▲2 Send a sample event? · Bridge</title>" in page
    assert re.search(r'rel="icon"[^>]* href="/inspector-static/icon-attention.svg"', page)


def test_a_page_comes_without_waiting_for_a_count(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitor.bridge.drip_to_segment.stats, "_take", lambda: time.sleep(60))
    began = time.monotonic()
    assert "Issues" in visitor.get("/sample")
    assert time.monotonic() - began < 5


def test_a_browser_gets_a_page_for_an_unknown_address(visitor: Visitor) -> None:
    answer = visitor.client.get("/nothing", headers=BROWSER)
    assert answer.status_code == 404
    assert "There is no page at this address." in answer.text
    assert links(answer.text, "Main")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"
    wrong_way = visitor.client.get("/retry", headers=BROWSER)
    assert (wrong_way.status_code, wrong_way.mimetype) == (405, "text/html")


def test_strangers_see_no_navigation_there(app: Flask) -> None:
    answer = app.test_client().get("/nothing", headers=BROWSER)
    assert "There is no page at this address." in answer.text
    assert not links(answer.text, "Main")
    assert "Log out" not in answer.text


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "application/json, text/html"])
def test_a_program_gets_json_for_an_unknown_address(visitor: Visitor, accept: str) -> None:
    answer = visitor.client.get("/nothing", headers={"Accept": accept})
    assert (answer.status_code, answer.get_json()["error"]) == (404, "Not Found")


def test_webhooks_are_answered_in_json_in_any_case(visitor: Visitor) -> None:
    for url in ("/webhooks/drip", "/webhooks/nothing"):
        answer = visitor.client.get(url, headers=BROWSER)
        assert answer.is_json, url


def test_without_the_inspector_all_get_json(settings: Settings) -> None:
    answer = create_app(settings).test_client().get("/nothing", headers=BROWSER)
    assert (answer.status_code, answer.is_json) == (404, True)


def test_the_page_for_an_unknown_address_needs_no_database(visitor: Visitor) -> None:
    with visitor.bridge.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE notes RENAME TO elsewhere")
    answer = visitor.client.get("/nothing", headers=BROWSER)
    assert answer.status_code == 404
    assert "There is no page at this address." in answer.text
