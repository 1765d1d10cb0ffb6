"""What may be done from the page: it asks where it must, does it, and says what it did."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from app.config.settings import Settings
from app.database.tables import bodies, events
from app.inspector import actions
from app.inspector import erase as erasing
from app.outbox.messages import Attempt
from app.outbox.search import Wanted
from tests.support.builders import claim, mark_sent, reschedule
from tests.support.inspector_app import (
    Visitor,
    close,
    create_inspected,
    inspected_over,
    text_of,
    webhook,
)

DAY = 86_400.0


@pytest.fixture
def app(settings: Settings, engine: Engine) -> Iterator[Flask]:
    """Over each engine in turn."""
    app = inspected_over(engine.url, settings)
    yield app
    close(app)


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


# one event


def test_a_failed_event_is_retried(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    url = f"/events/{message_id}"
    page = visitor.follow(visitor.submit(f"{url}/retry", url))
    assert "Due now." in page
    assert state_of(visitor, message_id) == "pending"


def test_an_old_one_is_asked_for_first(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    receive_earlier(visitor, DAY + 60)
    url = f"/events/{message_id}"
    asked = visitor.submit(f"{url}/retry", url)
    assert asked.status_code == 200
    assert "Segment drops repeats for 24 hours only" in asked.text
    assert "Cancel" in asked.text
    assert state_of(visitor, message_id) == "dead"
    assert "Due now." in visitor.follow(visitor.submit(f"{url}/retry", url, sure="1"))


def test_a_rejected_webhook_is_read_again(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(b"[]")
    url = f"/events/{message_id}"
    page = visitor.follow(visitor.submit(f"{url}/retry", url))
    assert "Still cannot be read, and stays rejected." in page
    make_readable(visitor)
    answer = visitor.submit(f"{url}/retry", url)
    assert answer.location == "/events"  # it has another id now
    assert "Due now." in visitor.follow(answer)


def test_what_is_sent_or_unknown_is_left_alone(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    store = visitor.bridge.drip_to_segment.store
    mark_sent(store, claim(store, now=time.time()), time.time())
    page = visitor.follow(visitor.submit(f"/events/{message_id}/retry", "/sample"))
    assert "Nothing to do" in page
    page = visitor.follow(visitor.submit("/events/drip-0/retry", "/sample"))
    assert "No event has this id." in page


def test_a_failed_event_is_dismissed(visitor: Visitor) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    url = f"/events/{message_id}"
    assert "Dismissed" in visitor.follow(visitor.submit(f"{url}/dismiss", url))
    assert "Nothing to dismiss" in visitor.follow(visitor.submit(f"{url}/dismiss", "/sample"))
    assert state_of(visitor, message_id) == "dead"
    visitor.count_anew()
    assert "No issue is open." in visitor.get("/issues")


# all that a list shows


def test_retry_acts_on_what_the_filter_shows_and_nothing_else(visitor: Visitor) -> None:
    own = visitor.post_webhook(webhook("a"))
    visitor.bury(time.time())
    other = visitor.post_webhook(webhook("b", email="bo@example.com"))
    visitor.bury(time.time())
    answer = visitor.submit("/retry?state=dead&q=bo@example.com", "/sample", next="/events")
    assert answer.location == "/events"
    assert "1 event: due now." in visitor.follow(answer)
    assert (state_of(visitor, own), state_of(visitor, other)) == ("dead", "pending")


def test_dismiss_acts_on_what_the_filter_shows_and_nothing_else(visitor: Visitor) -> None:
    visitor.post_webhook(webhook("a"))
    visitor.bury(time.time())
    visitor.post_webhook(b"[]")
    page = visitor.follow(visitor.submit("/dismiss?state=quarantined", "/sample", next="/issues"))
    assert "1 event dismissed." in page
    visitor.count_anew()
    said = text_of(visitor.get("/issues"))
    assert "Failed 1 \N{MULTIPLICATION SIGN}" in said
    assert "Rejected 1 \N{MULTIPLICATION SIGN}" not in said


@pytest.mark.parametrize(
    "query", ["", "?state=lost", "?issue=0", "?to=mars", "?state=dead&since=x"]
)
def test_a_wrong_filter_never_means_all(visitor: Visitor, query: str) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    for verb in ("retry", "dismiss"):
        assert visitor.submit(f"/{verb}{query}", "/sample", sure="1").status_code == 400
    assert state_of(visitor, message_id) == "dead"


def test_what_waits_is_due_at_once(visitor: Visitor) -> None:
    visitor.post_webhook(webhook())
    store, now = visitor.bridge.drip_to_segment.store, time.time()
    lease = claim(store, now=now)
    later = {each.id: now + 3600 for each in lease.messages}
    reschedule(store, lease, later, Attempt(now, "HTTP 500"))
    assert not claim(store, now=now + 60).messages
    page = visitor.follow(visitor.submit("/retry?state=pending", "/sample", next="/"))
    assert "1 event: due now." in page
    assert claim(store, now=time.time()).messages


def test_old_ones_are_counted_before_all_are_retried(visitor: Visitor) -> None:
    ids = [visitor.post_webhook(webhook(name)) for name in ("a", "b", "c")]
    visitor.bury(time.time())
    receive_earlier(visitor, DAY + 60)
    asked = text_of(visitor.submit("/retry?state=dead", "/sample", next="/issues").text)
    assert "Retry 3 events?" in asked
    assert "3 events: Segment drops repeats for 24 hours only" in asked
    assert state_of(visitor, ids[0]) == "dead"
    done = visitor.submit("/retry?state=dead", "/sample", next="/issues", sure="1")
    assert done.location == "/issues"
    assert "3 events: due now." in visitor.follow(done)
    assert {state_of(visitor, one) for one in ids} == {"pending"}


def test_what_takes_too_long_waits_for_the_next_time(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        visitor.post_webhook(webhook(name))
    visitor.bury(time.time())
    monkeypatch.setattr(actions, "LONGEST", 0.0)
    monkeypatch.setattr("app.outbox.bulk.STEP", 1)
    page = visitor.follow(visitor.submit("/retry?state=dead", "/sample"))
    assert "1 event: due now." in page
    visitor.count_anew()
    assert "Failed 2 \N{MULTIPLICATION SIGN}" in text_of(visitor.get("/issues"))


def test_the_page_to_come_back_to_is_one_of_ours(visitor: Visitor) -> None:
    answer = visitor.submit("/retry?state=dead", "/sample", next="//evil.example/")
    assert answer.location == "/"


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
    assert "Deleted: 2 events." in page
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
    assert "Deleted: 1 event." in page
    assert "1 event not deleted yet, because they are being sent" in page
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


ACTIONS = [
    "/retry?state=dead",
    "/dismiss?state=dead",
    "/events/drip-0/retry",
    "/events/drip-0/dismiss",
    "/sample",
    "/erase",
]


@pytest.mark.parametrize("url", ACTIONS)
def test_nothing_is_done_without_the_forms_token(visitor: Visitor, url: str) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    fields = {"sure": "1", "email": "ana@example.com"}
    real = url.replace("drip-0", message_id)
    for token in ({}, {"csrf_token": "x"}):
        assert visitor.client.post(real, data={**fields, **token}).status_code == 400
    assert state_of(visitor, message_id) == "dead"
    count, _ = visitor.bridge.bulk.count_dismissible(Wanted(state="dead"))  # sure, or in no time
    assert count == 1


@pytest.mark.parametrize("url", ACTIONS[:4])
def test_nothing_is_done_by_following_a_link(visitor: Visitor, url: str) -> None:
    message_id = visitor.post_webhook(webhook())
    visitor.bury(time.time())
    assert visitor.client.get(url.replace("drip-0", message_id)).status_code == 405
    for question in ("/sample?sure=1", "/erase?email=ana@example.com"):
        visitor.get(question)
    assert state_of(visitor, message_id) == "dead"
