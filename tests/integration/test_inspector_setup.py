"""The setup page: it stays, shows each step's state, checks what can be checked, and no secret."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.config.settings import Settings, load_settings
from app.outbox.answers import Answers, Kind
from tests.support.builders import TOKEN
from tests.support.chat import SECRET as CHAT_PATH
from tests.support.chat import Chat
from tests.support.drip_account import BASE, EVENTS, MASKED, SECRETS, URL_WITH_TOKEN, with_account
from tests.support.fake_drip import ACCOUNT, Answer, FakeDrip
from tests.support.inspector_app import PASSWORD, Visitor, create_inspected, text_of, webhook

WRITE_KEY = "h1XJ-the-write-key"
OWN_KEY = "Qz0e-the-own-key"
API_TOKENS = {"4417": "0a1b-token-of-one", "5150": "3d4e-token-of-another"}
SHARED = "shared-secret-of-segment"


@pytest.fixture
def visitor(settings: Settings) -> Visitor:
    return Visitor(create_inspected(settings))


def visit(settings: Settings, **changes: object) -> Visitor:
    return Visitor(create_inspected(settings, **changes))


def said(visitor: Visitor, button: str) -> str:
    """The page after one of its buttons was pressed."""
    answer = visitor.submit(f"/setup/{button}", page="/setup")
    assert answer.location == "/setup"
    return text_of(visitor.follow(answer))


def answered(visitor: Visitor, key: str, kind: Kind, reason: str) -> None:
    """The destination has answered so to this key, just now."""
    now = time.time()
    Answers(visitor.bridge.engine, "segment").note(key, kind, reason, now, now + 60, 1)
    visitor.bridge.drip_to_segment.stats.forget()


# the webhook's address


def test_the_address_has_its_secret_only_once_it_is_asked_for(visitor: Visitor) -> None:
    assert TOKEN not in visitor.get("/setup")
    assert "http://localhost/webhooks/drip?token=…" in visitor.get("/setup")
    page = visitor.get("/setup?reveal=1")
    assert page.count(f"http://localhost/webhooks/drip?token={TOKEN}") == 2
    assert "To do: Webhook address" in text_of(page)


def test_the_public_url_is_the_address(settings: Settings) -> None:
    page = visit(settings, public_url=BASE).get("/setup")
    assert f"{BASE}/webhooks/drip?token=…" in page
    assert "Done: Webhook address" in text_of(page)


def test_behind_a_proxy_with_tls_the_address_is_https(visitor: Visitor) -> None:
    tls = {"X-Forwarded-Proto": "https"}
    with visitor.client.session_transaction(headers=tls) as session:
        session.update(id="0" * 32, since=time.time())
    page = visitor.client.get("/setup", headers=tls).text
    assert "https://localhost/webhooks/drip?token=…" in page


# the first event


def test_the_page_waits_for_the_first_event_and_stays(visitor: Visitor) -> None:
    assert "Nothing has come yet." in visitor.get("/setup")
    visitor.get("/live/setup", status=204)
    visitor.post_webhook(webhook())
    visitor.get("/live/setup", status=200)
    page = text_of(visitor.get("/setup"))
    assert "Nothing has come yet." not in page
    assert "Done: Webhook in Drip The last event from Drip came" in page


def test_a_sample_does_not_show_that_drip_posts(visitor: Visitor) -> None:
    visitor.submit("/sample", sure="1")
    page = text_of(visitor.get("/setup"))
    assert "To do: Webhook in Drip No event from Drip is kept" in page
    assert "Done: Try it" in page
    assert "See all events" in page


# Drip's webhook


def test_drip_is_asked_on_a_press(settings: Settings, drip: FakeDrip) -> None:
    visitor = visit(with_account(settings, drip.url))
    absent = said(visitor, "check-drip")
    assert f"Account {ACCOUNT} has no webhook for this bridge." in absent
    drip.add(URL_WITH_TOKEN, EVENTS)
    assert f"({MASKED}) is as it should be: all 7 email events." in said(visitor, "check-drip")
    drip.webhooks[0]["events"].remove("subscriber.bounced")
    different = said(visitor, "check-drip")
    assert f"({MASKED}): It leaves out subscriber.bounced." in different
    for secret in SECRETS:
        assert secret not in absent + different
    assert drip.changes() == []


def test_a_webhook_of_another_address_is_reported(settings: Settings, drip: FakeDrip) -> None:
    elsewhere = "https://elsewhere.example.com"
    visitor = visit(with_account(settings, drip.url), public_url=elsewhere)
    assert "has no webhook for this bridge." in said(visitor, "check-drip")
    drip.add(URL_WITH_TOKEN, EVENTS)
    assert f"not to the bridge at {elsewhere}" in said(visitor, "check-drip")


def test_the_webhook_is_created_once_if_the_address_is_known(
    settings: Settings, drip: FakeDrip
) -> None:
    nameless = visit(with_account(settings, drip.url))
    assert "Create it" not in nameless.get("/setup")
    assert "has no webhook" in said(nameless, "create-drip")
    visitor = visit(with_account(settings, drip.url), public_url=BASE)
    assert f"({MASKED}) is created: all 7 email events." in said(visitor, "create-drip")
    assert "is as it should be" in said(visitor, "create-drip")
    assert [each["post_url"] for each in drip.webhooks] == [URL_WITH_TOKEN]


def test_one_that_differs_is_left_alone(settings: Settings, drip: FakeDrip) -> None:
    drip.add(URL_WITH_TOKEN, EVENTS[:-1])
    visitor = visit(with_account(settings, drip.url), public_url=BASE)
    assert "It leaves out subscriber.complained." in said(visitor, "create-drip")
    assert drip.changes() == []


def test_what_drip_refuses_is_reported_in_words(settings: Settings, drip: FakeDrip) -> None:
    drip.behave = lambda _: Answer(503)
    visitor = visit(with_account(settings, drip.url))
    assert "Drip is out of order (HTTP 503). Try again later." in said(visitor, "check-drip")


def test_without_an_account_it_is_shown_what_to_set(visitor: Visitor) -> None:
    assert "Check now" not in visitor.get("/setup")
    page = said(visitor, "check-drip")
    assert "Set this first. DRIP_API_TOKEN: in Drip&#39;s User Settings" in page
    assert "DRIP_ACCOUNT_ID: the number in the address" in page


# keys


def test_each_key_is_shown_with_its_last_answer_and_no_more_than_its_beginning(
    settings: Settings,
) -> None:
    visitor = visit(settings, write_key=WRITE_KEY, write_keys={"5150": OWN_KEY})
    page = visitor.get("/setup")
    assert "To do: Write keys of Segment" in text_of(page)
    assert "Any other h1XJ… ○ Not used yet 0 5150 Qz0e… ○ Not used yet 0" in text_of(page)
    assert "the-write-key" not in page
    assert "the-own-key" not in page
    answered(visitor, WRITE_KEY, "taken", "")
    answered(visitor, OWN_KEY, "taken", "")
    assert "Done: Write keys of Segment" in text_of(visitor.get("/setup"))
    answered(visitor, OWN_KEY, "refused", "HTTP 401: check SEGMENT_WRITE_KEYS")
    page = text_of(visitor.get("/setup"))
    assert "Wrong: Write keys of Segment" in page
    assert "h1XJ… ✓ Took events now 0 5150 Qz0e… ▲ HTTP 401 since" in page


def test_the_events_that_wait_are_counted_by_the_key_they_wait_for(settings: Settings) -> None:
    visitor = visit(settings, write_key=None, write_keys={"4417": OWN_KEY})
    visitor.post_webhook(webhook())
    page = text_of(visitor.get("/setup"))
    assert "4417 Qz0e… ○ Not used yet 1" in page
    keyless = visit(settings, write_key=None)
    page = text_of(keyless.get("/setup"))
    assert "Wrong: Write keys of Segment" in page
    assert "▲ No write key: set SEGMENT_WRITE_KEY" in page


def test_without_any_key_it_is_shown_what_to_set(settings: Settings) -> None:
    page = text_of(visit(settings, write_key=None).get("/setup"))
    assert "To do: Write keys of Segment No write key is set." in page


# Segment → Drip


def test_the_other_direction_is_off_until_its_secret_is_set(visitor: Visitor) -> None:
    page = text_of(visitor.get("/setup"))
    assert "Off: Segment → Drip It is off. To turn it on, set SEGMENT_WEBHOOK_SECRET" in page


def test_the_other_direction_shows_its_addresses_tokens_and_quotas(settings: Settings) -> None:
    visitor = visit(
        settings,
        segment_webhook_secrets=(SHARED,),
        drip_api_tokens=API_TOKENS,
        drip_account_id="4417",
    )
    page = visitor.get("/setup")
    assert SHARED not in page
    assert "token-of" not in page
    assert '<dd class="id">http://localhost/webhooks/segment</dd>' in page
    assert "http://localhost/webhooks/segment/5150</dd>" in page
    assert "4417 0a1b… ○ Not used yet 0 5150 3d4e… ○ Not used yet 0" in text_of(page)
    assert "3,600 of 3,600 requests of account 4417" in page
    assert SHARED in visitor.get("/setup?reveal=1")


# alerts


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as chat:
        threading.Thread(target=chat.serve_forever, args=(0.01,), daemon=True).start()
        yield chat
        chat.shutdown()


def test_a_test_alert_is_posted(settings: Settings, chat: Chat) -> None:
    visitor = visit(settings, alert_webhook_url=chat.url)
    page = visitor.get("/setup")
    assert "Alerts are posted to 127.0.0.1." in page
    assert CHAT_PATH not in page
    assert "127.0.0.1 took the test." in said(visitor, "test-alert")
    assert chat.texts == ["This is a test: alerts of the Drip-Segment bridge come here."]
    chat.status = 404
    failed = said(visitor, "test-alert")
    assert "The test was not delivered: HTTP 404: check ALERT_WEBHOOK_URL." in failed
    assert CHAT_PATH not in failed


def test_without_a_chat_there_is_nothing_to_test(visitor: Visitor) -> None:
    assert "Send a test" not in visitor.get("/setup")
    assert "Set ALERT_WEBHOOK_URL first." in said(visitor, "test-alert")


# settings


def test_the_settings_are_shown_with_where_each_was_set(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"SEGMENT_WRITE_KEY={WRITE_KEY}\nSENT_RETENTION_DAYS=9\n")
    monkeypatch.setenv("SEGMENT_REGION", "eu")
    visitor = visit(replace(load_settings(), database_url=settings.database_url))
    page = text_of(visitor.get("/setup"))
    for row in (
        "SEGMENT_REGION eu environment",
        "SEGMENT_WRITE_KEY set .env",
        "SENT_RETENTION_DAYS 9 .env",
        "DRIP_WEBHOOK_TOKEN set generated",
        "FAILED_RETENTION_DAYS 30 default",
        "METRICS_TOKEN not set default",
    ):
        assert row in page
    assert "9 days if delivered, 30 days if failed" in page
    assert "SQLite, schema 00" in page
    assert WRITE_KEY not in page
    assert PASSWORD not in page


def test_what_was_warned_of_at_the_start_is_there_to_read(settings: Settings) -> None:
    page = text_of(visit(settings, unknown=("SEGMENT_WRITE_KEI",)).get("/setup"))
    assert "Wrong: Settings as read SEGMENT_WRITE_KEI is no setting of the bridge" in page


# who may


@pytest.mark.parametrize("button", ["check-drip", "create-drip", "test-alert"])
def test_a_button_needs_a_login_and_the_pages_token(
    settings: Settings, drip: FakeDrip, chat: Chat, button: str
) -> None:
    app = create_inspected(with_account(settings, drip.url), alert_webhook_url=chat.url)
    stranger = app.test_client().post(f"/setup/{button}")
    assert (stranger.status_code, stranger.location) == (303, "/login")
    assert Visitor(app).client.post(f"/setup/{button}").status_code == 400
    assert (drip.visits, chat.texts) == ([], [])
