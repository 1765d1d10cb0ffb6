"""What an operator does with the inspector, from the first start to a person who is erased."""

import json
import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import PASSWORD, log_in
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import OK, FakeSegment, Reply
from tests.support.samples import CLICKED, OPENED

LIVE = 9_000
"""Milliseconds: the page asks every 5 seconds."""


def keep(site: BridgeProcess, body: bytes) -> str:
    """Post a webhook. Gives its message id."""
    answer = site.post(body).json()
    return str(answer.get("message_id", ""))


def reload_until(page: Page, state: str) -> None:
    """An event's page does not change by itself, and an event is settled a moment after Segment
    took it."""
    badge = page.locator(".badge").first
    for _ in range(50):
        if badge.inner_text() == state:
            return
        page.wait_for_timeout(100)
        page.reload()
    expect(badge).to_have_text(state)


def test_nobody_sees_anything_without_the_password(guest: Page, site: BridgeProcess) -> None:
    message_id = keep(site, OPENED)
    guest.goto(f"/events/{message_id}")
    expect(guest).to_have_url(f"{site.base}/login?next=/events/{message_id}")
    guest.get_by_label("Password").fill(PASSWORD)
    guest.keyboard.press("Enter")
    expect(guest.get_by_role("heading", level=1)).to_contain_text("Email Opened")
    guest.get_by_role("button", name="Log out").click()
    expect(guest).to_have_url(re.compile("/login"))
    guest.goto("/")
    expect(guest.get_by_label("Password")).to_be_visible()


def test_the_first_event_appears_by_itself_on_the_set_up_guide(
    page: Page, site: BridgeProcess
) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    expect(page.get_by_text("flask drip connect")).to_be_visible()
    assert page.locator("#webhook").inner_text().endswith("?token=•••")
    keep(site, OPENED)
    expect(page.get_by_role("row").filter(has_text="Email Opened")).to_be_visible(timeout=LIVE)


def test_events_appear_by_themselves_unless_it_is_paused(page: Page, site: BridgeProcess) -> None:
    keep(site, OPENED)
    page.goto("/")
    rows = page.locator("tr[data-id]")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    keep(site, CLICKED)
    page.wait_for_timeout(6_000)
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(rows).to_have_count(2)
    expect(page.locator(".badge--sent")).to_have_count(2, timeout=LIVE)


def test_an_event_is_found_and_shown_whole(
    page: Page, site: BridgeProcess, segment: FakeSegment
) -> None:
    keep(site, OPENED)
    message_id = keep(site, CLICKED)
    segment.wait_for(2)
    page.goto("/")
    page.get_by_label("Collection", exact=True).select_option("Email Link Clicked")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.locator("tr[data-id] a").click()
    expect(page).to_have_url(f"{site.base}/events/{message_id}")
    sent = page.locator("pre").nth(1)
    expect(sent).to_contain_text('"link_url": "https://shop.example/x?y=1"')
    way = page.get_by_role("row").filter(has_text="data.properties.url")
    expect(way).to_contain_text("properties.link_url")
    assert "ana@example.com" not in page.content()
    page.get_by_role("link", name="Reveal addresses").click()
    expect(sent).to_contain_text("ana@example.com")
    page.get_by_role("link", name="Raw", exact=True).click()
    assert json.loads(page.locator("pre").nth(0).inner_text()) == json.loads(CLICKED)


def test_a_search_finds_by_whatever_one_knows(page: Page, site: BridgeProcess) -> None:
    event = json.loads(OPENED)
    event["data"]["properties"]["email_subject"] = "Autumn news"
    message_id = keep(site, json.dumps(event).encode())
    page.goto("/")
    box = page.get_by_role("searchbox")
    for words in ("Ana@example.com", "u-81", "AUTUMN", message_id):
        box.fill(words)
        box.press("Enter")
        expect(page.locator("tr[data-id]")).to_have_count(1)
    box.fill("nobody@example.org")
    box.press("Enter")
    expect(page.get_by_text("No event here.")).to_be_visible()


def test_a_dead_event_is_sent_again(page: Page, site: BridgeProcess, segment: FakeSegment) -> None:
    segment.behave = lambda _: Reply(400, body=b'{"code": "no", "message": "not to my taste"}')
    message_id = keep(site, OPENED)
    site.wait_for_log("event=dead")
    page.goto(f"/events/{message_id}")
    reload_until(page, "dead")
    expect(page.get_by_role("cell", name="not to my taste")).to_be_visible()
    segment.behave = lambda _: OK
    page.get_by_role("button", name="Send it again").click()
    segment.wait_for(1)
    expect(page.get_by_text("The event: due now.")).to_be_visible()
    reload_until(page, "sent")
    expect(page.get_by_role("cell", name="requeued")).to_be_visible()


def test_a_person_is_erased_after_a_question(
    page: Page, site: BridgeProcess, segment: FakeSegment
) -> None:
    keep(site, OPENED)
    keep(site, CLICKED)
    segment.wait_for(2)
    page.goto("/")
    page.get_by_role("link", name="Erase a person").click()
    page.get_by_label("Address").fill("ana@example.com")
    page.get_by_role("button", name="Look for it").click()
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    page.get_by_role("button", name="Erase for good").click()
    expect(page.get_by_text("Erased: 2 events.")).to_be_visible()
    expect(page.locator(".badge--erased")).to_have_count(2)


def test_a_sample_goes_the_whole_way(page: Page, segment: FakeSegment) -> None:
    page.get_by_role("link", name="Send a sample event").click()
    page.get_by_role("button", name="Send it").click()
    (call,) = segment.wait_for(1)
    expect(page).to_have_url(re.compile(call["messageId"]))
    reload_until(page, "sent")


def test_the_view_can_be_kept_as_json_lines(page: Page, site: BridgeProcess) -> None:
    keep(site, OPENED)
    page.goto("/")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download as JSON lines").click()
    (line,) = started.value.path().read_text().splitlines()
    assert json.loads(line)["collection"] == "Email Opened"
    assert "ana@example.com" not in line


def test_the_keyboard_is_enough(guest: Page, site: BridgeProcess) -> None:
    message_id = keep(site, OPENED)
    log_in(guest)
    for _ in range(40):
        guest.keyboard.press("Tab")
        focused = guest.evaluate("document.activeElement.getAttribute('href')")
        if focused == f"/events/{message_id}":
            break
    outline = guest.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline not in ("none", "")
    guest.keyboard.press("Enter")
    expect(guest).to_have_url(f"{site.base}/events/{message_id}")
