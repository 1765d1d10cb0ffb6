"""`/`: the stream, its filters and pages, `/events.jsonl`; and what strangers wrote."""

import html
import json
import re
import time
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
from app.inspector import find
from app.inspector import stream as streaming
from app.inspector.limits import HEAVY
from app.outbox.messages import Attempt
from tests.support.builders import claim, mark_dead, message, reschedule
from tests.support.inspector_app import Visitor, close, inspected_over, text_of, webhook

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
    close(app)


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def shown(page: str) -> list[str]:
    """The reason or subject of each event that is shown."""
    return [text_of(cell).strip() for cell in re.findall(r'<td class="list__reason".*?</td>', page)]


def statuses(page: str) -> list[str]:
    """The status of each event that is shown."""
    return [
        text_of(cell).strip() for cell in re.findall(r'<td class="list__status">.*?</td>', page)
    ]


def tabs(page: str) -> str:
    """The tabs, with their counts."""
    return text_of(re.findall(r'<nav class="tabs".*?</nav>', page, re.DOTALL)[0]).strip()


def test_events_are_listed_newest_first(visitor: Visitor) -> None:
    for subject in ("one", "two"):
        visitor.post_webhook(webhook(subject))
    page = visitor.get("/events")
    assert shown(page) == ["two", "one"]
    assert statuses(page) == ["Queued", "Queued"]
    assert "2 events, newest first." in text_of(page)
    assert re.search(r">\d+ [A-Z][a-z]{2} \d\d:\d\d:\d\d</time>", page)


REJECTED = "body: Not a JSON object."


@pytest.mark.parametrize(
    ("query", "found", "words"),
    [
        ("state=waiting", ["Bobs click", "other", "Hola"], "3 events, newest first"),
        ("state=pending", ["Bobs click", "Hola"], "newest first"),
        ("state=held", ["other"], "newest first"),
        ("state=quarantined", [REJECTED], "1 event, newest first"),
        ("collection=Email+Link+Clicked", ["Bobs click"], "1 event, Email Link Clicked, newest"),
        ("account=5150", ["other"], "1 event, account 5150, newest"),
        ("last=15m", ["Bobs click", "other", REJECTED, "Hola"], "4 events, last 15 min"),
        ("since=2099-01-01", [], "from 2099-01-01 UTC"),
        ("until=2020-01-01+00:00", [], "until 2020-01-01 00:00 UTC"),
        ("q=BO@example.com", ["Bobs click"], "with “BO@example.com”"),
        ("q=BO@ex", ["Bobs click"], "with “BO@ex”"),
        ("q=bo.lon", ["Bobs click"], "with “bo.lon”"),
        ("q=@long.example", ["Bobs click"], "with “@long.example”"),
        ("q=u-81", ["Bobs click"], "with “u-81”"),
        ("q=hol", ["Hola"], "with “hol”"),
        ("q=delivery-7", ["Bobs click"], "with “delivery-7”"),
        ("q=drip-0", [], "with “drip-0”"),
        ("state=held&q=hol", [], "with “hol”"),
    ],
)
def test_events_are_found_by(visitor: Visitor, query: str, found: list[str], words: str) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.post_webhook(b"[]")
    other = webhook("other")
    other["data"]["account_id"] = "5150"
    visitor.post_webhook(other)
    email = (
        "bo@example.com" if "example.com" in query or "BO@ex" in query else "bo.lon@long.example"
    )
    click = webhook("Bobs click", "clicked_email", email=email, user_id="u-81")
    click["data"]["properties"]["delivery_id"] = "delivery-77"
    visitor.post_webhook(click)
    page = visitor.get(f"/events?{query}")
    assert shown(page) == found
    assert words in text_of(page)
    assert shown(visitor.get(f"/live/events?{query}")) == found


def test_tabs_have_counts_that_follow_the_filters(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    visitor.bury(time.time() + 1)
    other = webhook("other")
    other["data"]["account_id"] = "5150"
    visitor.post_webhook(other)
    visitor.post_webhook(b"[]")
    for query in ("", "state=dead"):
        assert tabs(visitor.get(f"/events?{query}")) == (
            "All 3 Waiting 1 Delivered 0 Failed 1 Rejected 1 Dismissed 0 Deleted 0"
        )
    for query in ("account=5150", "q=other", "q=other&state=dead"):
        assert tabs(visitor.get(f"/events?{query}")) == (
            "All 1 Waiting 1 Delivered 0 Failed 0 Rejected 0 Dismissed 0 Deleted 0"
        )
    assert re.search(r'aria-current="page">Failed', visitor.get("/events?state=dead"))
    assert re.search(r'aria-current="page">Waiting', visitor.get("/events?state=held"))


def test_counts_that_are_cut_short_are_marked(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        visitor.post_webhook(webhook(f"mail {number}"))
    monkeypatch.setattr("app.outbox.counts.MOST_COUNTED", 2)
    page = visitor.get("/events?account=4417")
    assert tabs(page) == "All 2+ Waiting 2+ Delivered Failed Rejected Dismissed Deleted"
    assert "2+ events, account 4417" in text_of(page)


def test_a_failed_event_shows_its_reason_and_a_retried_one_its_next_attempt(
    visitor: Visitor,
) -> None:
    visitor.post_webhook(webhook("Hola"))
    store, now = visitor.bridge.drip_to_segment.store, time.time()
    lease = claim(store, now=now)
    later = {lease.messages[0].id: now + 3_000}
    reschedule(store, lease, later, Attempt(now, "HTTP 500", f"no, {ANA}"))
    page = visitor.get("/events")
    assert shown(page) == ["HTTP 500 no, a•••@e•••.com"]
    assert re.fullmatch(r"Retry 2, [\d :-]*\d\d:\d\d", statuses(page)[0])
    lease = claim(store, now=now + 3_001)
    mark_dead(store, lease, Attempt(now, "HTTP 400", "Field too long"))
    page = visitor.get("/events?state=dead")
    assert (statuses(page), shown(page)) == (["Failed"], ["HTTP 400 Field too long"])


def test_no_match_says_the_rule_the_retention_and_the_last_webhook(visitor: Visitor) -> None:
    assert "Nothing has come yet." in text_of(visitor.get("/events"))
    visitor.post_webhook(webhook("Hola"))
    for term, rule in {
        "nobody@x.example": "addresses that begin with it",
        "@x.example": "addresses that contain it",
        "drip-0000": "message ids that begin with it",
        "nobody": "addresses that begin with it, and user ids and values that contain it",
    }.items():
        page = text_of(visitor.get(f"/events?q={term}"))
        assert f"No event matches. “{term}” was looked for in {rule}." in page
        assert "Delivered events are kept 7 days, since" in page
        assert "failed and rejected ones 30 days" in page
        assert re.search(r"The last webhook came (now|\d+ s ago)\.", page)
        assert "Nothing has come yet" not in page


@pytest.mark.parametrize("words", ["ANA@example.com", "hol", "u-81", "¡\u202e"])
def test_what_is_searched_for_is_in_no_url(visitor: Visitor, app: Flask, words: str) -> None:
    visitor.post_webhook(webhook("Hola"))
    asked = {"q": words, "state": "pending", "account": "4417"}
    answer = visitor.submit("/search", "/events", **asked)
    url = answer.location
    assert re.fullmatch(r"/events\?state=pending&account=4417&q=~[0-9a-f]{32}", url)
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
    assert len(visitor.get(url.replace("/events?", "/events.jsonl?")).splitlines()) == len(found)
    assert visitor.submit("/search", "/events", **asked).location == url


def test_a_message_id_is_no_secret_and_an_empty_search_is_none(visitor: Visitor) -> None:
    wanted = visitor.post_webhook(webhook("Hola"))
    assert visitor.submit("/search", "/events", q=wanted).location == f"/events?q={wanted}"
    assert visitor.submit("/search", "/events", q=" ", state="").location == "/events"
    assert "q=~" in visitor.submit("/search", "/events", q=f"drip-{ANA}").location


def test_a_search_is_forgotten_with_the_person(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    url = visitor.submit("/search", "/events", q=ANA).location
    other = visitor.submit("/search", "/events", q="hol").location
    visitor.submit("/erase", email=ANA, sure="1")
    assert "not known any more" in visitor.get(url)
    assert "not known any more" in visitor.get("/events?q=~0")
    assert "not known any more" not in visitor.get(other)
    with visitor.bridge.engine.connect() as connection:
        assert connection.scalars(select(notes.c.text)).all() == ["hol"]


def test_a_message_id_finds_its_event(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    wanted = visitor.post_webhook(webhook("Adiós"))
    assert shown(visitor.get(f"/events?q={wanted}")) == ["Adiós"]


def test_a_filter_that_is_wrong_keeps_what_was_typed_and_shows_nothing(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    query = "state=lost&collection=x&since=yesterday&before=x&account=4417"
    page = visitor.get(f"/events?{query}")
    assert "There is no “lost” to choose." in page
    assert "There is no “x” to choose." in page
    assert "“From” is not a date. Example: 2026-11-02 09:30" in page
    assert re.search(r'name="since" value="yesterday"[^>]* aria-describedby="since-error"', page)
    assert 'value="4417"' in page
    assert shown(page) == []
    assert "Nothing is shown until the filters are corrected." in text_of(page)
    assert "No event matches" not in page
    assert "is not a date" in visitor.get(f"/events.jsonl?{query}", status=400)


def test_a_period_of_ones_own_comes_before_the_chosen_one(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    asked = visitor.submit("/search", "/events", last="24h", since="2026-11-02 09:30")
    assert asked.location == "/events?since=2026-11-02+09:30"
    assert visitor.submit("/search", "/events", last="24h").location == "/events?last=24h"


def test_older_events_are_pages_away_and_each_has_its_url(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find.find_page, "__defaults__", (2,))
    for number in range(5):
        visitor.post_webhook(webhook(f"mail {number}"))
    url, seen = "/events?q=mail", []
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
    for url in ("/events", "/live/events", "/events?state=held"):
        page = visitor.get(url)
        assert "ana@" not in page
    assert shown(visitor.get("/events")) == ["for a•••@e•••.com"]
    assert shown(visitor.get("/events?reveal=1")) == [f"for {ANA}"]
    assert "ana@" not in visitor.get("/events")


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
    for url in ("/events", "/live/events?state=quarantined", "/events/raw-1", "/events.jsonl"):
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
    assert visitor.get(f"/events?until={until}")


def test_what_is_too_long_is_not_looked_for(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("Hola"))
    page = visitor.get(f"/events?q={'x' * 3_500}")
    assert "Too long: 254 letters can be looked for at most." in page
    assert shown(page) == []


def test_one_search_runs_at_a_time_and_others_get_a_503(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.post_webhook(webhook("Hola"))
    monkeypatch.setattr(HEAVY, "_wait", 0.0)
    with HEAVY.slot():
        for url in ("/events?q=hol", "/live/events?q=hol"):
            answer = visitor.client.get(url)
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
            assert "One runs at a time" in answer.text
        for url in ("/erase", "/retry?state=dead"):
            answer = visitor.submit(url, "/erase", email=ANA, which="dead", sure="1")
            assert answer.status_code == 503
        assert shown(visitor.get("/events")) == shown(visitor.get(f"/events?q={ANA}")) == ["Hola"]
    assert shown(visitor.get("/events?q=hol")) == ["Hola"]


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
    urls = ["/events", "/live/events", "/events?reveal=1", f"/?{search}", f"/live/events?{search}"]
    urls += [f"/events/{id_}{query}" for id_ in ids for query in ("", "?view=raw&reveal=1")]
    for url in urls:
        page = visitor.get(url)
        tags = Tags(page)
        assert tags.titles <= 2, url  # the page's and the chart's
        for tag, name, value in tags.attributes:
            assert not name.startswith("on"), (url, tag, name)
            if name in ("href", "src", "action"):
                assert value.startswith(("/", "#main")), (url, value)
        assert page.count("<script") == page.count('<script src="/inspector-static/')
        if search not in url:  # a field has to have what was typed into it
            assert "\u202e" not in page, url
            assert "\x1b" not in page, url
        assert "7777777" not in page, url
    assert any(str(escape(printable(hostile)[:8])) in visitor.get(url) for url in urls)
