"""`/`: the stream, its filters and pages, `/events.jsonl`; and what strangers wrote."""

import html
import json
import re
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from markupsafe import escape
from sqlalchemy import Engine, select

from app.config.settings import Settings
from app.database.tables import notes
from app.formatting import printable
from app.inspector import filters
from app.inspector import stream as streaming
from app.inspector.limits import HEAVY
from app.outbox.messages import Attempt
from tests.support.builders import claim, mark_dead, message
from tests.support.inspector_app import Visitor, inspected_over, text_of, webhook

ANA = "ana@example.com"

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</textarea></pre></title>",
    "{{'7'*7}}{% raw %}",
    "' onmouseover='alert(1)",
    "\u202egnp.exe\x1b[2J",
)


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn; only account 4417 has a key."""
    keys = {"4417": "a-key"}
    app = inspected_over(engine.url, settings, write_key=None, write_keys=keys)
    yield app
    app.extensions["bridge"].close()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def shown(page: str) -> list[str]:
    """The subjects of the events that are shown, or else their states."""
    body = page.partition("<tbody>\n")[2] if "data-id" in page else ""
    lines = re.findall(r"<tr data-id.*?</tr>", body, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", line, re.DOTALL) for line in lines]
    return [text_of(line[4]).strip().replace("\u2013", text_of(line[1]).strip()) for line in cells]


def test_events_are_listed_newest_first(visitor: Visitor) -> None:
    for subject in ("one", "two"):
        visitor.post_webhook(webhook(subject))
    page = visitor.get("/")
    assert shown(page) == ["two", "one"]
    assert "Shown: all events, newest first." in text_of(page)


@pytest.mark.parametrize(
    ("query", "found", "words"),
    [
        ("state=pending", ["Bobs click", "Hola"], "pending events"),
        ("state=held", ["other"], "held events"),
        ("state=quarantined", ["quarantined"], "quarantined events"),
        ("collection=Email+Link+Clicked", ["Bobs click"], "in Email Link Clicked"),
        ("account=5150", ["other"], "of Drip account 5150"),
        ("since=2099-01-01", [], "received since 2099-01-01 UTC"),
        ("until=2020-01-01T00:00", [], "received before 2020-01-01T00:00 UTC"),
        ("q=BO@example.com", ["Bobs click"], "with “BO@example.com”"),
        ("q=u-81", ["Bobs click"], "with “u-81”"),
        ("q=hol", ["Hola"], "with “hol”"),
        ("q=drip-0", [], "with “drip-0”"),
        ("state=held&q=hol", [], "held events, with “hol”"),
    ],
)
def test_events_are_found_by(visitor: Visitor, query: str, found: list[str], words: str) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.post_webhook(b"[]")
    other = webhook("other")
    other["data"]["account_id"] = "5150"
    visitor.post_webhook(other)
    visitor.post_webhook(
        webhook("Bobs click", "clicked_email", email="bo@example.com", user_id="u-81")
    )
    page = visitor.get(f"/?{query}")
    assert shown(page) == found
    assert words in text_of(page)
    assert shown(visitor.get(f"/live?{query}")) == found


@pytest.mark.parametrize("words", ["ANA@example.com", "hol", "u-81", "¡\u202e"])
def test_what_is_searched_for_is_in_no_url(visitor: Visitor, app: Flask, words: str) -> None:
    visitor.post_webhook(webhook("Hola"))
    asked = {"q": words, "state": "pending", "account": "4417"}
    answer = visitor.submit("/search", "/", **asked, per="hour")
    url = answer.location
    assert re.fullmatch(r"/\?state=pending&account=4417&q=~[0-9a-f]{32}&per=hour", url)
    page = visitor.follow(answer)
    found = ["Hola"] if words in ("ANA@example.com", "hol") else []
    assert shown(page) == found
    assert f"with “{printable(words)}”" in text_of(page)
    for link in re.findall(r'(?:href|action|data-live)="([^"]*)"', page):
        assert "@" not in link
        assert "hol" not in link
    assert "q=~" in re.findall(r'data-live="([^"]*)"', page)[0]
    # of a colleague, and in a download
    assert shown(Visitor(app).get(url)) == found
    assert len(visitor.get(url.replace("/?", "/events.jsonl?")).splitlines()) == len(found)
    assert visitor.submit("/search", "/", **asked, per="hour").location == url


def test_a_message_id_is_no_secret_and_an_empty_search_is_none(visitor: Visitor) -> None:
    wanted = visitor.post_webhook(webhook("Hola"))
    assert visitor.submit("/search", "/", q=wanted).location == f"/?q={wanted}"
    assert visitor.submit("/search", "/", q=" ", state="").location == "/"
    assert "q=~" in visitor.submit("/search", "/", q=f"drip-{ANA}").location


def test_a_search_is_forgotten_with_the_person(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    url = visitor.submit("/search", "/", q=ANA).location
    other = visitor.submit("/search", "/", q="hol").location
    visitor.submit("/erase", email=ANA, sure="1")
    assert "not known any more" in visitor.get(url)
    assert "not known any more" in visitor.get("/?q=~0")
    assert "not known any more" not in visitor.get(other)
    with visitor.bridge.engine.connect() as connection:
        assert connection.scalars(select(notes.c.text)).all() == ["hol"]


def test_a_message_id_finds_its_event(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    wanted = visitor.post_webhook(webhook("Adiós"))
    assert shown(visitor.get(f"/?q={wanted}")) == ["Adiós"]


def test_a_filter_that_is_wrong_is_reported_and_left_out(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    page = visitor.get("/?state=lost&collection=x&since=yesterday&before=x&account=4417")
    assert "There is no such state." in page
    assert "There is no such collection." in page
    assert "“since” is no time" in page
    assert shown(page) == ["Hola"]
    assert "Shown: all events, of Drip account 4417, newest first." in text_of(page)


def test_older_events_are_pages_away_and_each_has_its_url(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters.find_page, "__defaults__", (2,))
    for number in range(5):
        visitor.post_webhook(webhook(f"mail {number}"))
    url, seen = "/?q=mail", []
    while url:
        page = visitor.get(url)
        seen.append(shown(page))
        older = re.search(r'id="older" href="([^"]+)"', page)
        url = html.unescape(older[1]) if older else ""
    assert [one for some in seen for one in some] == [f"mail {n}" for n in (4, 3, 2, 1, 0)]
    assert len(seen) >= 3
    assert "Newest" in page


def test_addresses_are_hidden_until_they_are_asked_for(visitor: Visitor) -> None:
    visitor.post_webhook(webhook(f"for {ANA}"))
    for url in ("/", "/live", "/?state=held"):
        page = visitor.get(url)
        assert "ana@" not in page
    assert shown(visitor.get("/")) == ["for a•••@e•••.com"]
    assert shown(visitor.get("/?reveal=1")) == [f"for {ANA}"]
    assert "ana@" not in visitor.get("/")


def test_the_view_can_be_downloaded(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("one"))
    visitor.post_webhook(webhook("two", email="bo@example.com"))
    visitor.post_webhook('{"email": "ana@example.com"'.encode("utf-16"))
    lines = [json.loads(line) for line in visitor.get("/events.jsonl").splitlines()]
    assert [line["state"] for line in lines] == ["quarantined", "pending", "pending"]
    assert "ana@" not in json.dumps(lines)
    assert "raw_base64" not in json.dumps(lines)
    assert lines[1]["email"] == "b•••@e•••.com"

    (line,) = visitor.get(f"/events.jsonl?q={ANA}&reveal=1").splitlines()
    shown = json.loads(line)
    assert (shown["email"], shown["payload"]["event"]) == (ANA, "Email Opened")
    assert json.loads(shown["raw"]) == webhook("one")
    (line,) = visitor.get("/events.jsonl?state=quarantined&reveal=1").splitlines()
    assert json.loads(line)["raw_base64"]


def test_pages_and_downloads_of_large_bodies_take_little_memory(visitor: Visitor) -> None:
    store = visitor.bridge.drip_to_segment.store
    store.put([message(f"raw-{n}", payload=None, raw=b"x" * (1 << 20)) for n in range(30)])
    peaks = []
    for url in ("/", "/live?state=quarantined", "/events/raw-1", "/events.jsonl"):
        visitor.get("/login", 303)
        tracemalloc.start()
        answer = visitor.client.get(url, buffered=False)
        lines = sum(bytes(piece).count(b"\n") for piece in answer.iter_encoded())
        peaks.append(tracemalloc.get_traced_memory()[1] >> 20)
        tracemalloc.stop()
        answer.close()
        assert answer.status_code == 200
    assert lines == 30
    # a body of 1 MiB, as it is read, hidden and written
    assert max(peaks[:2]) < 4, peaks
    assert max(peaks) < 24, peaks


def test_a_download_that_gives_up_reports_how_far_it_looked(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outbox.search.LONGEST", 0.0)
    monkeypatch.setattr("app.outbox.search.WORDS_WINDOW", 1)
    monkeypatch.setattr(streaming, "LONGEST", 0.0)
    for subject in ("one", "two", "three"):
        visitor.post_webhook(webhook(subject))
    (line,) = visitor.get("/events.jsonl?q=one").splitlines()
    until = json.loads(line)["incomplete"].rpartition(" ")[2]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", until)
    assert visitor.get(f"/?until={until}")


def test_what_is_too_long_is_not_looked_for(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    page = visitor.get(f"/?q={'x' * 3_500}")
    assert "Too long: 254 letters can be looked for at most." in page
    assert shown(page) == ["Hola"]


def test_one_search_runs_at_a_time_and_others_get_a_503(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.post_webhook(webhook("Hola"))
    monkeypatch.setattr(HEAVY, "_wait", 0.0)
    with HEAVY.slot():
        for url in ("/?q=hol", "/live?q=hol"):
            answer = visitor.client.get(url)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert "One is done at a time" in answer.text
        for url in ("/erase", "/requeue"):
            answer = visitor.submit(url, "/erase", email=ANA, which="dead", sure="1")
            assert answer.status_code == 503
        assert shown(visitor.get("/")) == shown(visitor.get(f"/?q={ANA}")) == ["Hola"]
    assert shown(visitor.get("/?q=hol")) == ["Hola"]


def test_two_downloads_are_made_at_a_time(visitor: Visitor) -> None:
    for n in range(5):
        visitor.post_webhook(webhook(f"mail {n}"))
    under_way = [visitor.client.get("/events.jsonl", buffered=False) for _ in range(2)]
    refused = visitor.client.get("/events.jsonl")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Two downloads are under way." in refused.text
    under_way[0].close()
    assert len(visitor.get("/events.jsonl").splitlines()) == 5
    under_way[1].close()


class Tags(HTMLParser):
    """What a browser would make of a page: its tags and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.titles = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.titles += tag == "title"
        self.attributes += [(tag, name, value or "") for name, value in attrs]


def everything(hostile: str) -> list[Any]:
    """Webhooks that say it in every field that Drip fills in, and in bytes that are no webhook."""
    click = webhook(hostile, "clicked_email", email=hostile, user_id=hostile, id=hostile)
    click["data"]["subscriber"] |= {"custom_fields": {hostile: hostile}, "time_zone": hostile}
    click["data"]["properties"] |= dict.fromkeys(
        (hostile, "url", "user_agent", "ip_address", "email_id"), hostile
    )
    click[hostile] = [hostile]
    nobody = {**click, "data": {"account_id": hostile, "subscriber": hostile, hostile: hostile}}
    return [click, nobody, hostile.encode(), {**click, "event": "subscriber.opened_email"}]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_what_strangers_wrote_is_only_ever_text(visitor: Visitor, hostile: str) -> None:
    ids = [visitor.post_webhook(body) for body in everything(hostile)]
    store = visitor.bridge.drip_to_segment.store
    lease = claim(store, now=2e9)
    mark_dead(store, lease, Attempt(2e9, "HTTP 400", hostile))
    search = urlencode({"q": hostile, "account": hostile, "since": hostile, "state": hostile})
    urls = ["/", "/live", "/?reveal=1", f"/?{search}", f"/live?{search}"]
    urls += [f"/events/{id_}{query}" for id_ in ids for query in ("", "?view=raw&reveal=1")]
    for url in urls:
        page = visitor.get(url)
        tags = Tags(page)
        assert tags.titles <= 2, url  # the page's and the chart's
        for tag, name, value in tags.attributes:
            assert not name.startswith("on"), (url, tag, name)
            if name in ("href", "src", "action"):
                assert value.startswith(("/", "#main")), (url, value)
        assert page.count("<script") == page.count('<script src="/inspector-static/inspector.js"')
        if search not in url:  # a field has to have what was typed into it
            assert "\u202e" not in page, url
            assert "\x1b" not in page, url
        assert "7777777" not in page, url
    assert any(str(escape(printable(hostile)[:8])) in visitor.get(url) for url in urls)
