"""The console as gunicorn serves it: that a browser gets along with both."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy.engine import make_url

from tests.browser.site import PASSWORD
from tests.support.bridge_process import BridgeProcess
from tests.support.fake_segment import FakeSegment


@pytest.fixture
def site(segment: FakeSegment, tmp_path: Path) -> Iterator[BridgeProcess]:
    """The processes of an operator, in place of an app in this process."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as site:
        site.start_web(INSPECTOR_PASSWORD=PASSWORD)
        yield site


def test_a_sample_goes_the_whole_way(page: Page, segment: FakeSegment) -> None:
    page.goto("/setup")
    page.get_by_role("link", name="Send a sample event").click()
    page.get_by_role("button", name="Send it").click()
    (call,) = segment.wait_for(1)
    expect(page).to_have_url(re.compile(call["messageId"]))
    expect(page.locator("h1 .badge")).to_have_text("Delivered")
