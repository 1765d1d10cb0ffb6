"""The setup page in a browser: it shows the first event by itself, and serves everyone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import hurry
from tests.browser.site import Site
from tests.support.accessibility import NARROW, PHONE, WIDE, assert_no_violation
from tests.support.samples import OPENED


def test_the_first_event_shows_by_itself(page: Page, site: Site) -> None:
    page.clock.install()
    page.goto("/setup")
    waiting = page.get_by_text("This page shows it when the first event comes.")
    expect(waiting).to_be_visible()
    site.post(OPENED)
    site.count_anew()
    hurry(page)
    expect(page.get_by_text("The last event from Drip came")).to_be_visible()
    expect(waiting).to_be_hidden()
    page.get_by_role("link", name="See all events").click()
    page.get_by_role("link", name="Setup").click()
    expect(page.get_by_role("heading", name="Done: Webhook in Drip")).to_be_visible()


def test_the_secret_is_copied_once_it_is_shown(page: Page) -> None:
    page.goto("/setup")
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="Show the secret").first.click()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    shown = page.locator("#webhook").inner_text()
    assert page.evaluate("navigator.clipboard.readText()") == shown
    page.get_by_role("link", name="Hide the secret").first.click()
    expect(page.locator("#webhook")).not_to_have_text(shown)


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no JavaScript"])
def test_it_works_without_javascript(page: Page, site: Site) -> None:
    page.goto("/setup")
    site.post(OPENED)
    site.count_anew()
    page.get_by_role("link", name="Refresh").click()
    expect(page.get_by_text("The last event from Drip came")).to_be_visible()
    page.get_by_role("link", name="Show the secret").first.click()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()
    page.get_by_text("All settings, and where each was set").click()
    expect(page.get_by_role("cell", name="SENT_RETENTION_DAYS")).to_be_visible()
    page.get_by_role("link", name="Send a sample event").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Setup")


@pytest.mark.parametrize("context_options", [WIDE, PHONE, NARROW], ids=["wide", "phone", "narrow"])
def test_it_passes_axe_and_fits_the_screen(page: Page, site: Site) -> None:
    page.goto("/setup")
    assert_no_violation(page)
    page.goto("/sample")  # the page that waits for an event would load itself again meanwhile
    site.post(OPENED)
    page.goto("/setup?reveal=1")
    page.get_by_text("All settings, and where each was set").click()
    assert_no_violation(page)
    widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths
