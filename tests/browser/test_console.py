"""The shell around the pages, the overview and the issues, as an operator's browser has them."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import hurry, log_in
from tests.browser.site import Site
from tests.support.fake_segment import OK, FakeSegment, Reply
from tests.support.samples import CLICKED, OPENED

REFUSED = Reply(400, body=b'{"code": "no", "message": "the subject is too long"}')

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "is_mobile": True,
    "has_touch": True,
}
LAPTOP = {"viewport": {"width": 1024, "height": 768}}
WIDE = {"viewport": {"width": 1280, "height": 900}}


def put_trouble(site: Site, segment: FakeSegment) -> None:
    """A delivered event, one that failed, and a rejected webhook."""
    site.post(OPENED)
    segment.wait_for(1)
    segment.behave = lambda _: REFUSED
    site.post(CLICKED)
    site.wait_for("dead")
    segment.behave = lambda _: OK
    site.post(b"not JSON")
    site.count_anew()


@pytest.mark.parametrize("context_options", [PHONE, LAPTOP, WIDE], ids=["360", "1024", "1280"])
def test_the_console_fits_the_screen(
    page: Page, site: Site, segment: FakeSegment, context_options: dict[str, Any]
) -> None:
    put_trouble(site, segment)
    height = context_options["viewport"]["height"]
    for address in ("/", "/events", "/issues", "/setup"):
        page.goto(address)
        expect(page).to_have_title(re.compile("^▲2"))
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], (address, widths)
        navigation = page.get_by_role("navigation", name="Main")
        expect(navigation.locator("[aria-current=page]")).to_have_count(1)
        for link in navigation.get_by_role("link").all():
            box = link.bounding_box()
            assert box
            assert box["height"] >= 40
            assert box["x"] + box["width"] <= widths[1], address
    for address in ("/", "/issues"):
        page.goto(address)
        problem = page.locator(".problem").first.bounding_box()
        assert problem
        assert problem["y"] + problem["height"] < height, address


def test_title_and_icon_change_while_the_page_is_open(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    site.post(OPENED)
    segment.wait_for(1)
    site.wait_for("sent")
    site.count_anew()
    page.clock.install()
    page.goto("/")
    expect(page.get_by_text("Delivering normally")).to_be_visible()
    expect(page).to_have_title("Overview · Bridge")
    icon = page.locator("link[rel=icon]")
    expect(icon).to_have_attribute("href", re.compile("/icon.svg"))
    segment.behave = lambda _: REFUSED
    site.post(CLICKED)
    site.wait_for("dead")
    site.count_anew()
    hurry(page)
    expect(page).to_have_title("▲1 Overview · Bridge")
    expect(icon).to_have_attribute("href", re.compile("/icon-attention.svg"))
    expect(page.get_by_text("1 event failed")).to_be_visible()
    expect(page.get_by_text("Delivering normally")).to_be_hidden()


def test_the_page_says_that_the_bridge_is_down_and_that_its_figures_are_old(
    guest: Page, context: BrowserContext, site: Site, segment: FakeSegment
) -> None:
    log_in(guest)
    site.post(OPENED)
    segment.wait_for(1)
    guest.goto("about:blank")
    page = context.new_page()  # a console without faults is not expected of it
    page.clock.install()
    page.goto("/")
    banner, figures = page.get_by_role("alert"), page.locator("[data-part=overview]")
    expect(banner).to_be_hidden()
    context.set_offline(True)
    hurry(page)
    expect(banner).to_contain_text("The bridge does not answer. What is shown here is from")
    expect(figures).to_have_css("opacity", "0.45")
    context.set_offline(False)
    hurry(page)
    expect(banner).to_be_hidden()
    expect(figures).to_have_css("opacity", "1")


def test_a_refresh_keeps_the_focus_and_what_is_unfolded(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    site.post(OPENED)
    segment.wait_for(1)
    page.clock.install()
    page.goto("/?last=24h")
    page.get_by_text("Show as table").click()
    page.get_by_role("link", name="7 days").focus()
    with page.expect_response(re.compile("/live/overview")):
        hurry(page)
    page.wait_for_timeout(300)
    expect(page.get_by_role("link", name="7 days")).to_be_focused()
    expect(page.get_by_role("region", name="The chart's numbers")).to_be_visible()
    expect(page.get_by_role("heading", name="Last 24 hours")).to_be_visible()


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no JavaScript"])
def test_trouble_is_found_and_mended_without_javascript(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    put_trouble(site, segment)
    page.goto("/")
    problem = page.locator(".problem").filter(has_text="1 event failed")
    problem.get_by_role("link", name="Show").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Issues")
    issue = page.locator(".problem").filter(has_text="the subject is too long")
    issue.get_by_role("button", name="Retry 1").click()
    expect(page.get_by_text("1 event: due now.")).to_be_visible()
    segment.wait_for(2)
    rejected = page.locator(".problem").filter(has_text="Rejected")
    rejected.get_by_role("button", name="Dismiss 1").click()
    expect(page.get_by_text("1 event dismissed.")).to_be_visible()
    expect(page.get_by_text("No issue is open.")).to_be_visible()


def test_an_address_that_is_not_there_is_a_page_of_the_console(
    guest: Page, context: BrowserContext
) -> None:
    log_in(guest)
    page = context.new_page()  # a browser notes the 404 as a fault
    answer = page.goto("/nothing-here")
    assert answer
    assert answer.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Setup").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Setup|first event"))


def test_cancel_leads_back_and_one_button_stands_out(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    site.post(json.dumps(json.loads(OPENED)).encode())
    segment.wait_for(1)
    for address in ("/sample", "/erase"):
        page.goto(address)
        expect(page.locator(".button--main")).to_have_count(1)
        page.get_by_role("link", name="Cancel").click()
        expect(page).not_to_have_url(re.compile(address))
