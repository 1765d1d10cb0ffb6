"""What an operator does with the inspector, from the first start to a person who is erased."""

import json
import re

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import hurry, log_in
from tests.browser.site import PASSWORD, Site
from tests.support.fake_segment import OK, FakeSegment, Reply
from tests.support.samples import CLICKED, OPENED


def keep(site: Site, body: bytes) -> str:
    """Post a webhook. Gives its message id."""
    answer = site.post(body).json()
    return str(answer.get("message_id", ""))


def expect_status(page: Page, word: str) -> None:
    """The page of an event changes by itself."""
    expect(page.locator("h1 .badge")).to_have_text(word)


def test_nobody_sees_anything_without_the_password(guest: Page, site: Site) -> None:
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


def test_events_appear_by_themselves_unless_it_is_paused(page: Page, site: Site) -> None:
    opened = keep(site, OPENED)
    page.clock.install()
    page.goto("/events")
    rows = page.locator("tr[data-id]")
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    clicked = keep(site, CLICKED)
    hurry(page)
    page.wait_for_timeout(300)
    expect(rows).to_have_count(1)
    page.get_by_role("button", name="Pause").click()
    expect(rows).to_have_count(2)
    for message_id in opened, clicked:
        site.wait_for("sent", message_id)
    hurry(page)
    expect(page.locator(".badge--sent")).to_have_count(2)


def test_an_event_is_found_and_shown_whole(page: Page, site: Site, segment: FakeSegment) -> None:
    keep(site, OPENED)
    message_id = keep(site, CLICKED)
    segment.wait_for(2)
    page.goto("/events")
    page.get_by_label("Event", exact=True).select_option("Email Link Clicked")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.get_by_text("a•••@e•••.com").click(force=True)  # the link covers the whole row
    expect(page).to_have_url(f"{site.base}/events/{message_id}")
    sent = page.locator("#call")
    expect(sent).to_contain_text('"link_url": "https://shop.example/x?y=1"')
    mapped = page.get_by_role("row").filter(has_text="data.properties.url")
    expect(mapped).to_be_hidden()
    page.get_by_role("heading", name="Field mapping").click()
    expect(mapped).to_contain_text("properties.link_url")
    assert "ana@example.com" not in page.content()
    page.get_by_role("link", name="Show email addresses").click()
    expect(sent).to_contain_text("ana@example.com")
    page.get_by_role("link", name="Raw", exact=True).click()
    assert json.loads(page.locator("#body").inner_text()) == json.loads(CLICKED)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").last.click()
    assert started.value.path().read_bytes() == CLICKED


def test_what_is_sent_can_be_copied(page: Page, context: BrowserContext, site: Site) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/events/{keep(site, OPENED)}")
    page.get_by_role("button", name="Copy").nth(1).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert json.loads(copied)["event"] == "Email Opened"


def test_the_page_of_an_event_is_live_until_it_is_settled(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    segment.behave = lambda _: Reply(500, body=b'{"error": "internal"}')
    message_id = keep(site, OPENED)
    page.clock.install()
    page.goto(f"/events/{message_id}")
    expect_status(page, "Retrying")
    expect(page.get_by_role("link", name="Refresh")).to_be_hidden()
    page.get_by_text("Response").first.click()
    expect(page.get_by_text('{"error": "internal"}', exact=True)).to_be_visible()
    segment.behave = lambda _: OK
    expect(page.get_by_role("heading", name="Sent to Segment")).to_be_visible(timeout=30_000)
    expect_status(page, "Delivered")
    expect(page.get_by_text("delivered", exact=False).last).to_be_visible()
    # what was unfolded stays so
    expect(page.get_by_text('{"error": "internal"}', exact=True).first).to_be_visible()
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url))
    hurry(page)
    page.wait_for_timeout(300)
    assert polls == []


def test_the_page_of_an_event_says_that_the_bridge_is_down(
    guest: Page, context: BrowserContext, site: Site, segment: FakeSegment
) -> None:
    segment.behave = lambda _: Reply(500)
    log_in(guest)
    guest.goto("about:blank")
    page = context.new_page()  # a console without faults is not expected of it
    page.goto(f"/events/{keep(site, OPENED)}")
    expect_status(page, "Retrying")
    context.set_offline(True)
    expect(page.get_by_text("The bridge does not answer")).to_be_visible()
    context.set_offline(False)
    expect(page.get_by_text("The bridge does not answer")).to_be_hidden()


def test_a_search_finds_by_whatever_one_knows(page: Page, site: Site) -> None:
    event = json.loads(OPENED)
    event["data"]["properties"]["email_subject"] = "Autumn news"
    message_id = keep(site, json.dumps(event).encode())
    page.goto("/events")
    box = page.get_by_role("searchbox")
    for words in (
        "Ana@example.com",
        "ana@ex",
        "ana",
        "@example.com",
        "u-81",
        "AUTUMN",
        message_id[:12],
        message_id,
    ):
        box.fill(words)
        box.press("Enter")
        expect(page.locator("tr[data-id]")).to_have_count(1)
    box.fill("nobody@example.org")
    box.press("Enter")
    expect(page.get_by_text("No event matches.")).to_be_visible()


def test_a_failed_event_is_retried(page: Page, site: Site, segment: FakeSegment) -> None:
    segment.behave = lambda _: Reply(400, body=b'{"code": "no", "message": "not to my taste"}')
    message_id = keep(site, OPENED)
    site.wait_for("dead")
    page.goto(f"/events/{message_id}")
    expect_status(page, "Failed")
    expect(page.get_by_text("not to my taste")).to_be_hidden()
    page.get_by_text("Response").click()
    expect(page.get_by_text("not to my taste")).to_be_visible()
    segment.behave = lambda _: OK
    page.get_by_role("button", name="Retry").click()
    segment.wait_for(1)
    expect_status(page, "Delivered")
    expect(page.get_by_text("Retried by hand")).to_be_visible()


def test_a_person_is_erased_after_a_question(page: Page, site: Site, segment: FakeSegment) -> None:
    keep(site, OPENED)
    keep(site, CLICKED)
    segment.wait_for(2)
    page.goto("/setup")
    page.get_by_role("link", name="Delete a person").click()
    page.get_by_label("Full email address").fill("ana@example.com")
    page.get_by_role("button", name="Count the events").click()
    expect(page.get_by_text("This cannot be undone")).to_be_visible()
    page.get_by_role("button", name="Delete 2 events").click()
    expect(page.get_by_text("Deleted: 2 events.")).to_be_visible()
    expect(page.locator(".badge--erased")).to_have_count(2)


def test_the_view_can_be_kept_as_json_lines(page: Page, site: Site) -> None:
    keep(site, OPENED)
    page.goto("/events")
    with page.expect_download() as started:
        page.get_by_role("link", name="Download as JSON lines").click()
    (line,) = started.value.path().read_text().splitlines()
    assert json.loads(line)["collection"] == "Email Opened"
    assert "ana@example.com" not in line


def test_the_keyboard_is_enough(guest: Page, site: Site) -> None:
    message_id = keep(site, OPENED)
    log_in(guest)
    guest.goto("/events")
    for _ in range(40):
        guest.keyboard.press("Tab")
        focused = guest.evaluate("document.activeElement.getAttribute('href')")
        if focused == f"/events/{message_id}":
            break
    outline = guest.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline not in ("none", "")
    guest.keyboard.press("Enter")
    expect(guest).to_have_url(f"{site.base}/events/{message_id}")
