"""What may be done from the page: it asks where it must, does it, and says what it did."""

import re
import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from app.config.settings import Settings
from app.database.tables import bodies, events
from app.inspector import actions
from app.inspector import erase as erasing
from tests.support.builders import claim
from tests.support.inspector_app import Visitor, create_inspected, inspected_over, text_of, webhook

DAY = 86_400.0


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn."""
    app = inspected_over(engine.url, settings)
    yield app
    app.extensions["bridge"].close()


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def state_of(visitor: Visitor, message_id: str) -> str | None:
    found = visitor.bridge.search.one(message_id)
    return found.state if found else None


def receive_earlier(visitor: Visitor, seconds: float) -> None:
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(events).values(received_at=events.c.received_at - seconds))


def make_readable(visitor: Visitor) -> None:
    """As an upgrade does it to what could not be read."""
    with visitor.bridge.engine.begin() as connection:
        connection.execute(update(bodies).values(raw=str(webhook()).replace("'", '"').encode()))


# requeue


def test_a_dead_event_is_sent_again(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    url = f"/events/{message_id}"
    page = visitor.follow(visitor.submit(f"{url}/requeue", url))
    assert "The event: due now." in page
    assert "Due now: it goes out" in page
    assert state_of(visitor, message_id) == "pending"


def test_an_old_one_is_asked_for_first(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    receive_earlier(visitor, DAY + 60)
    url = f"/events/{message_id}"
    asked = visitor.submit(f"{url}/requeue", url)
    assert asked.status_code == 200
    assert "more than 24 hours ago. Segment drops repeats for 24 hours only" in asked.text
    assert state_of(visitor, message_id) == "dead"
    assert "due now" in visitor.follow(visitor.submit(f"{url}/requeue", url, sure="1"))


def test_a_quarantined_webhook_is_read_again(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(b"[]")
    url = f"/events/{message_id}"
    page = visitor.follow(visitor.submit(f"{url}/requeue", url))
    assert "still cannot be read and stays in quarantine" in page
    make_readable(visitor)
    page = visitor.follow(visitor.submit(f"{url}/requeue", url))
    assert "The event: due now." in page
    assert "Shown: all events" in page


def test_what_is_neither_is_left_alone(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    page = visitor.follow(visitor.submit(f"/events/{message_id}/requeue", "/sample"))
    assert "neither dead nor quarantined, so it was left alone" in page
    page = visitor.follow(visitor.submit("/events/drip-0/requeue", "/sample"))
    assert "no event has this id" in page


def test_all_dead_are_sent_again_after_the_count_is_shown(visitor: Visitor) -> None:
    ids = [visitor.post_webhook(webhook(name)) for name in ("a", "b", "c")]
    visitor.bury(time.time())
    receive_earlier(visitor, DAY + 60)
    page = visitor.get("/requeue?which=dead")
    assert "3 events will be due at once" in page
    assert "Received more than 24 hours ago: 3 events." in page
    assert state_of(visitor, ids[0]) == "dead"
    page = visitor.follow(visitor.submit("/requeue", "/requeue?which=dead", which="dead"))
    assert "3 events: due now." in page
    assert {state_of(visitor, one) for one in ids} == {"pending"}
    assert "No event is dead." in visitor.follow(visitor.client.get("/requeue?which=dead"))


def test_all_quarantined_are_read_again(visitor: Visitor) -> None:
    visitor.post_webhook(b"[]")
    visitor.post_webhook(b"{}")
    assert "2 events will be read again" in visitor.get("/requeue?which=quarantined")
    page = visitor.follow(
        visitor.submit("/requeue", "/requeue?which=quarantined", which="quarantined")
    )
    assert "2 events: still cannot be read and stays in quarantine." in page
    assert "2 events still in quarantine." in page


def test_a_report_that_takes_too_long_waits_for_the_next_time(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        visitor.post_webhook(webhook(name))
    visitor.bury(time.time())
    monkeypatch.setattr(actions, "LONGEST", 0.0)
    monkeypatch.setattr("app.outbox.requeue.STEP", 1)
    page = visitor.follow(visitor.submit("/requeue", "/requeue?which=dead", which="dead"))
    assert "1 event: due now." in page
    assert "2 events still dead." in page


def test_only_dead_and_quarantined_ones_can_be_asked_for(visitor: Visitor) -> None:
    assert visitor.submit("/requeue", "/sample", which="sent").status_code == 400
    visitor.get("/requeue?which=sent", status=400)


# sample


def test_a_sample_goes_the_whole_way(visitor: Visitor) -> None:
    assert "made-up person, sample-person@example.com" in visitor.get("/sample")
    for count in (1, 2):
        page = visitor.follow(visitor.submit("/sample"))
        assert "The sample is kept." in page
        assert "Sample event of the bridge" in page
        lease = claim(visitor.bridge.drip_to_segment.store, "9999999", now=2e9 * count)
        assert len(lease.messages) == count


def test_a_sample_is_of_an_account_with_a_key(settings: Settings) -> None:
    keys = {"4417": "a-key"}
    keyed = Visitor(create_inspected(settings, write_key=None, write_keys=keys))
    assert "as Drip account 4417. It is sent to Segment" in keyed.get("/sample")
    keyless = Visitor(create_inspected(settings, write_key=None))
    assert "it is held until one is" in keyless.get("/sample")


# erase


def test_a_person_is_erased_after_the_count_is_shown(visitor: Visitor) -> None:
    ids = [visitor.post_webhook(webhook(name)) for name in ("a", "b")]
    other = visitor.post_webhook(webhook("a", email="bo@example.com"))
    asked = visitor.submit("/erase", email=" ANA@example.com")
    assert "2 events (2 pending) with ANA@example.com in them" in text_of(asked.text)
    assert "never to be sent: 2." in asked.text
    assert state_of(visitor, ids[0]) == "pending"
    page = visitor.follow(visitor.submit("/erase", email="ana@example.com", sure="1"))
    assert "Erased: 2 events." in page
    assert [state_of(visitor, one) for one in (*ids, other)] == ["erased", "erased", "pending"]
    asked = visitor.submit("/erase", email="ana@example.com")
    assert "No event has ana@example.com in it." in asked.text


def test_what_is_being_sent_is_not_reported_as_erased(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [visitor.post_webhook(webhook(name)) for name in ("a", "b")]
    claim(visitor.bridge.drip_to_segment.store, now=time.time(), most_events=1)
    monkeypatch.setattr(erasing, "LONGEST", 0.0)
    page = visitor.follow(visitor.submit("/erase", email="ana@example.com", sure="1"))
    assert "Erased: 1 event." in page
    assert "1 event not erased yet, because they are being sent" in page
    assert sorted(str(state_of(visitor, one)) for one in ids) == ["erased", "pending"]


def test_the_command_is_named_if_too_much_is_kept(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    message_id = visitor.post_webhook(webhook())
    monkeypatch.setattr(erasing, "FEW", 0)
    assert "flask erase ADDRESS" in visitor.get("/erase")
    page = visitor.submit("/erase", "/sample", email="ana@example.com", sure="1").text
    assert "too many events are kept" in page
    assert state_of(visitor, message_id) == "pending"


def test_what_is_no_address_is_not_looked_for(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    for wrong in ("", "ana", "@example.com", "a na@example.com"):
        assert "Write a whole address" in visitor.submit("/erase", email=wrong, sure="1").text


# all of them


@pytest.mark.parametrize("url", ["/requeue", "/events/drip-0/requeue", "/sample", "/erase"])
def test_nothing_is_done_without_the_forms_token(visitor: Visitor, url: str) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    fields = {"which": "dead", "sure": "1", "email": "ana@example.com"}
    real = url.replace("drip-0", message_id)
    for token in ({}, {"csrf_token": "x"}):
        assert visitor.client.post(real, data={**fields, **token}).status_code == 400
    assert state_of(visitor, message_id) == "dead"
    assert len(re.findall("<tr data-id", visitor.get("/"))) == 1


@pytest.mark.parametrize("url", ["/events/drip-0/requeue"])
def test_nothing_is_done_by_following_a_link(visitor: Visitor, url: str) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    assert visitor.client.get(url.replace("drip-0", message_id)).status_code == 405
    for question in (
        "/requeue?which=dead&sure=1",
        "/sample?sure=1",
        "/erase?email=ana@example.com",
    ):
        visitor.get(question)
    assert state_of(visitor, message_id) == "dead"
