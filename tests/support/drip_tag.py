"""A stand-in for Drip's tag and for what it asks, in a page of a test."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route

TAG = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

IDENTIFIED = {"success": True, "visitor_uuid": "f627", "anonymous": False}


class DripTag:
    """What the page gets from Drip's hosts. No request leaves the machine."""

    def __init__(self, page: Page) -> None:
        self.script: str | None = TAG
        """The tag; None if an ad blocker stops it."""
        self.is_held = False
        """Whether the tag comes only with `release`."""
        self.answer: dict[str, Any] | None = IDENTIFIED
        """What Drip answers; None if an ad blocker stops the requests."""
        self.loads = 0
        """How often the page asked for the tag."""
        self.said: list[list[Any]] = []
        """What Drip was asked, with the callbacks left out."""
        self._held: list[Route] = []
        page.route("https://tag.getdrip.com/**", self._load)
        page.route("https://api.getdrip.com/client/**", self._take)

    def release(self) -> None:
        """Let the tag come."""
        self.is_held = False
        for route in self._held:
            route.fulfill(body=TAG, content_type="text/javascript")

    def _load(self, route: Route) -> None:
        assert urlsplit(route.request.url).path == "/8838307.js"
        self.loads += 1
        if self.script is None:
            route.abort("blockedbyclient")
        elif self.is_held:
            self._held.append(route)
        else:
            route.fulfill(body=self.script, content_type="text/javascript")

    def _take(self, route: Route) -> None:
        if self.answer is None:
            route.abort("blockedbyclient")
            return
        url = urlsplit(route.request.url)
        asked = parse_qs(url.query)
        self.said.append([url.path.rpartition("/")[2], *json.loads(asked["said"][0])])
        body = f"{asked['callback'][0]}({json.dumps(self.answer)})"
        route.fulfill(body=body, content_type="text/javascript")
