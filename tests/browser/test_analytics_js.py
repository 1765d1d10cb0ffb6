"""analytics.js in a real browser, set up as the docs say, reaches Drip through the bridge."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy.engine import make_url

from tests.support.bridge_process import BridgeProcess
from tests.support.fake_drip_rest import FakeDripRest
from tests.support.fake_segment import FakeSegment
from tests.support.segment_sdks import (
    WRITE_KEY,
    example,
    install_packages,
    take_sdks,
    wait_for_the_example,
)
from tests.support.shop import Shop

SHOP = """<!doctype html>
<title>Shop</title>
<script src="/node_modules/@segment/analytics-next/dist/umd/index.js"></script>
<script type="importmap">{"imports": {"@segment/analytics-next": "/analytics-next.js"}}</script>
<script type="module" src="/example.js"></script>
"""
"""A page that has the package as its authors built it for browsers, in place of a bundler."""


@pytest.fixture
def drip() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def bridge(drip: FakeDripRest, segment: FakeSegment, tmp_path: Path) -> Iterator[BridgeProcess]:
    """A bridge that runs."""
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, segment.url, tmp_path) as process:
        take_sdks(process, drip)
        process.start_both()
        yield process


@pytest.fixture
def shop(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    modules = install_packages(tmp_path_factory.getbasetemp().parent / "segment-sdks")
    with Shop(tmp_path / "shop", modules) as shop:
        shop.put("index.html", SHOP)
        shop.put("analytics-next.js", "export const { AnalyticsBrowser } = window.AnalyticsNext\n")
        yield shop


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    yield context.new_page()
    context.close()


@dataclass(frozen=True)
class Visitor:
    """Someone who opens the shop."""

    page: Page
    bridge: BridgeProcess
    shop: Shop

    def visit(self, script: str, last: str) -> list[str]:
        """Open the shop with this script, until the page has the answer of the last URL. Returns
        what it asked other hosts for."""
        self.shop.put("example.js", script)
        asked: list[str] = []
        self.page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        with self.page.expect_response(last):
            self.page.goto(self.shop.url)
        return [line for line in asked if not line.startswith(f"GET {self.shop.url}")]


@pytest.fixture
def visitor(page: Page, bridge: BridgeProcess, shop: Shop) -> Visitor:
    return Visitor(page, bridge, shop)


def test_each_call_alone(visitor: Visitor, drip: FakeDripRest) -> None:
    base = visitor.bridge.base
    asked = visitor.visit(example("analytics-next", base), f"{base}/v1/t")
    assert wait_for_the_example(drip).fields["user_id"] == "42"
    assert asked == [
        f"GET {base}/v1/projects/{WRITE_KEY}/settings",
        f"POST {base}/v1/i",
        f"POST {base}/v1/t",
    ]


BATCHING = """}, {
  integrations: {
    'Segment.io': { deliveryStrategy: { strategy: 'batching', config: { size: 2 } } },
  },
})
"""


def test_in_batches(visitor: Visitor, drip: FakeDripRest) -> None:
    base = visitor.bridge.base
    script = example("analytics-next", base).replace("})\n", BATCHING, 1)
    asked = visitor.visit(script, f"{base}/v1/b")
    wait_for_the_example(drip)
    assert asked == [f"GET {base}/v1/projects/{WRITE_KEY}/settings", f"POST {base}/v1/b"]


def test_with_a_wrong_key_nothing_is_sent(visitor: Visitor, drip: FakeDripRest) -> None:
    base = visitor.bridge.base
    script = example("analytics-next", base).replace(WRITE_KEY, "another-key")
    settings = f"{base}/v1/projects/another-key/settings"
    assert visitor.visit(script, settings) == [f"GET {settings}"]
    assert drip.visits == []
