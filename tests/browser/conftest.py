"""A browser, and a bridge for it to look at."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    expect,
    sync_playwright,
)
from sqlalchemy.engine import make_url

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment

PASSWORD = "a-password-for-the-browser"

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
def site(segment: FakeSegment, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge with the inspector on, and nothing in it."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as site:
        site.environ["INSPECTOR_PASSWORD"] = PASSWORD
        site.start_web()
        yield site


@pytest.fixture
def context_options() -> dict[str, Any]:
    """What a test's `page` is opened with; to be overridden by `parametrize`."""
    return {}


@pytest.fixture
def context(
    browser: Browser, site: BridgeProcess, context_options: dict[str, Any]
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
def page(guest: Page) -> Page:
    """A page of an operator who has just logged in. It is not that of the set-up, which loads
    itself again when the first event comes."""
    log_in(guest)
    guest.goto("/events")
    return guest


def log_in(page: Page, password: str = PASSWORD) -> None:
    page.goto("/login")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    # a click does not wait for the page that it leads to
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
