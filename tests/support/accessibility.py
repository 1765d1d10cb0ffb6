"""Screens of several sizes, and a check that a page can be used by everyone."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SMALL = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
NARROW = {"viewport": {"width": 320, "height": 640}}
WIDE = {"viewport": {"width": 1280, "height": 900}}


def assert_no_violation(page: Page) -> None:
    """The page breaks no rule of axe, in light and in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        rules: list[dict[str, Any]] = Axe().run(page).response["violations"]
        found = [(rule["id"], [node["html"] for node in rule["nodes"][:3]]) for rule in rules]
        assert found == [], (page.url, scheme)
