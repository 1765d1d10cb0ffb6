"""A browser, and a bridge for it to look at."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)

from tests.browser.site import PASSWORD, Site, running
from tests.support.bridge_process import assert_no_secret
from tests.support.fake_segment import FakeSegment

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

# Chromium's own errands, which a test machine refuses
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium or Chrome; where neither is, the test is skipped, or fails if
    BROWSER_TESTS=required."""
    if CHROMIUM is None:
        if os.environ.get("BROWSER_TESTS") == "required":
            pytest.fail("no chromium on the PATH, and BROWSER_TESTS=required")
        pytest.skip("no chromium on the PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def site(
    segment: FakeSegment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Site]:
    """A bridge with the inspector on, and nothing in it."""
    with running(tmp_path, segment.url) as site:
        yield site
    assert_no_secret(capsys.readouterr().err)


@pytest.fixture
def context_options() -> dict[str, Any]:
    """What a test's `page` is opened with; to be overridden by `parametrize`."""
    return {}


@pytest.fixture
def context(
    browser: Browser, site: Site, context_options: dict[str, Any]
) -> Iterator[BrowserContext]:
    """A browser that has never been here."""
    context = browser.new_context(base_url=site.base, **context_options)
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def guest(context: BrowserContext) -> Iterator[Page]:
    """A page of somebody who is not logged in. Nothing may fail in it."""
    page = context.new_page()
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error":
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: faults.append(f"dialog: {dialog.message}"))
    yield page
    assert faults == []


@pytest.fixture
def page(guest: Page, context: BrowserContext, site: Site) -> Page:
    """A page of an operator who has logged in. It is not that of the set-up, which loads
    itself again when the first event comes."""
    with requests.Session() as session:
        form = session.get(f"{site.base}/login", timeout=30)
        token = re.search(r'name="csrf_token" value="([^"]+)"', form.text)
        assert token
        fields = {"csrf_token": token[1], "password": PASSWORD}
        session.post(form.url, fields, timeout=30).raise_for_status()
        ((name, value),) = session.cookies.get_dict().items()
    context.add_cookies([{"name": name, "value": value, "url": site.base}])
    guest.goto("/events")
    return guest


def hurry(page: Page) -> None:
    """As if the seconds had passed after which a page asks for news: for a page whose clock was
    installed before it was opened."""
    page.clock.fast_forward(5_500)


def log_in(page: Page, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    # a click does not wait for the page that it leads to
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
