"""The plugin for browsers, with the real analytics.js and a stand-in for Drip's tag: what the tag
gets, what is marked, and that the bridge sends exactly the rest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, Request, Route
from sqlalchemy import select
from sqlalchemy.engine import make_url

from app.database.engine import open_database
from app.database.tables import events
from tests.support.bridge_process import BridgeProcess
from tests.support.drip_tag import TAG, DripTag
from tests.support.fake_drip_rest import ACCOUNT, CAMPAIGN, FakeDripRest
from tests.support.fake_segment import FakeSegment
from tests.support.segment_sdks import WRITE_KEY, example, install_packages, take_sdks
from tests.support.shop import Shop
from tests.support.waiting import wait_until

PAGE = """<!doctype html>
<title>Shop</title>
<script src="/node_modules/@segment/analytics-next/dist/umd/index.js"></script>
<script src="BRIDGE/plugins/drip.js"></script>
<script>
  var analytics = AnalyticsNext.AnalyticsBrowser.load(
    { writeKey: 'KEY', cdnURL: 'BRIDGE' }, CHOSEN)
  analytics.register(dripPlugin(OPTIONS))
</script>
"""

NOOP = "window._dc = {}"
"""What ad blockers put in the place of a tag: it loads, and does nothing."""


@pytest.fixture(scope="module")
def drip() -> Iterator[FakeDripRest]:
    with FakeDripRest() as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture(scope="module")
def bridge(drip: FakeDripRest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeProcess]:
    """One for all tests; each has people of its own."""
    folder = tmp_path_factory.mktemp("bridge")
    url = make_url(f"sqlite:///{folder}/bridge.db")
    with FakeSegment() as segment, BridgeProcess(url, segment.url, folder) as process:
        take_sdks(process, drip)
        process.start_web()
        yield process


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    modules = install_packages(tmp_path_factory.getbasetemp().parent / "segment-sdks")
    with Shop(tmp_path_factory.mktemp("site") / "shop", modules) as shop:
        yield shop


@dataclass
class Visitor:
    """Someone who is in the shop."""

    page: Page
    tag: DripTag
    bridge: BridgeProcess
    shop: Shop
    drip: FakeDripRest
    name: str
    posted: list[dict[str, Any]]
    """What the page posted to the bridge."""

    @property
    def email(self) -> str:
        return f"{self.name}@example.com"

    @property
    def identity(self) -> tuple[str, dict[str, Any]]:
        """What the page says of the person, who has logged in."""
        return self.name, {"email": self.email, "plan": "pro"}

    def visit(self, html: str = PAGE, options: Any = None, chosen: Any = None) -> None:
        """Open a page of the shop, with these options of the plugin and of analytics.js."""
        html = html.replace("OPTIONS", json.dumps(options or {})).replace("KEY", WRITE_KEY)
        html = html.replace("BRIDGE", self.bridge.base).replace("CHOSEN", json.dumps(chosen or {}))
        self.shop.put("index.html", html)
        self.page.goto(self.shop.url)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call analytics.js. Returns the context of the event, as it was posted."""
        script = "([method, args]) => analytics[method](...args).then((ctx) => ctx.event.context)"
        return self.page.evaluate(script, [method, list(arguments)])

    def mark(self, method: str, *arguments: Any) -> Any:
        """As `call`. Returns the mark of the event, if it has one."""
        return self.call(method, *arguments).get("drip_device")

    def given(self, method: str = "") -> list[list[Any]]:
        """What Drip was asked by the tag: the calls of this name, or all."""
        return [each for each in self.tag.said if not method or each[0] == method]

    def sent(self, count: int) -> list[tuple[str, dict[str, Any]]]:
        """What the bridge has sent of the person: once it is so much, and nothing is left."""

        def found() -> list[tuple[str, dict[str, Any]]]:
            return [
                (visit.line.rpartition("/")[2], item)
                for visit in self.drip.visits
                for item in visit.items
                if item["email"] == self.email
            ]

        wait_until(lambda: len(found()) >= count and not self.waiting(), 30)
        return found()

    def waiting(self) -> list[Any]:
        """What the bridge has kept, and has not settled yet."""
        engine = open_database(make_url(self.bridge.environ["DATABASE_URL"]))
        with engine.connect() as connection:
            rows = connection.execute(select(events.c.id).where(events.c.state == "pending")).all()
        engine.dispose()
        return list(rows)


@pytest.fixture
def visitor(
    browser: Browser,
    bridge: BridgeProcess,
    shop: Shop,
    drip: FakeDripRest,
    request: pytest.FixtureRequest,
) -> Iterator[Visitor]:
    context = browser.new_context()
    context.set_default_timeout(20_000)
    page = context.new_page()
    posted: list[dict[str, Any]] = []

    def note(asked: Request) -> None:
        if asked.method == "POST" and asked.url.startswith(bridge.base):
            posted.append(json.loads(asked.post_data or "{}"))

    page.on("request", note)
    name = "".join(filter(str.isalnum, request.node.name))
    yield Visitor(page, DripTag(page), bridge, shop, drip, name, posted)
    context.close()


def test_what_drip_has_taken_is_marked_and_the_bridge_sends_none_of_it(visitor: Visitor) -> None:
    visitor.visit()
    assert visitor.mark("identify", *visitor.identity) == ACCOUNT
    properties = {"revenue": 19.99, "order id": "A-7"}
    context = visitor.call("track", "Order Completed", properties)
    assert context["drip_device"] == ACCOUNT
    assert context["traits"] == {"email": visitor.email}
    assert visitor.given() == [
        ["identify", {"email": visitor.email, "plan": "pro", "user_id": visitor.name}],
        ["track", "Order Completed", {"order_id": "A-7", "value": 1999}],
    ]
    assert visitor.tag.loads == 1
    assert [each["context"]["drip_device"] for each in visitor.posted] == [ACCOUNT] * 2
    # a server knows the user id alone; whose it is, the bridge has learnt
    call = {"type": "track", "event": "Renewed", "userId": visitor.name}
    body = {"writeKey": WRITE_KEY, **call}
    assert requests.post(f"{visitor.bridge.base}/v1/track", json=body, timeout=10).ok
    sent = visitor.sent(2)
    assert [kind for kind, _ in sent] == ["subscribers", "events"]
    assert "custom_fields" not in sent[0][1]  # the bridge introduces the person, no more
    assert sent[1][1]["action"] == "Renewed"


def test_a_campaign_once_in_a_browser(visitor: Visitor) -> None:
    visitor.visit(options={"campaignId": "of-the-settings", "doubleOptin": True})
    chosen = {"integrations": {"Drip": {"campaign_id": "of-the-call"}}}
    assert visitor.mark("identify", *visitor.identity, chosen) == ACCOUNT
    assert visitor.mark("identify", *visitor.identity, chosen) == ACCOUNT
    assert visitor.mark("identify", *visitor.identity) == ACCOUNT
    fields = {"email": visitor.email, "plan": "pro", "user_id": visitor.name}
    assert visitor.given("subscribe") == [
        ["subscribe", {"campaign_id": name, "fields": fields, "double_optin": True}]
        for name in ("of-the-call", "of-the-settings")
    ]


def test_what_an_ad_blocker_stops_the_bridge_sends(visitor: Visitor) -> None:
    visitor.tag.script = None
    visitor.visit()
    chosen = {"integrations": {"Drip": {"campaignId": CAMPAIGN}}}
    assert visitor.mark("identify", *visitor.identity, chosen) is None
    context = visitor.call("track", "Signed Up")
    assert context["traits"] == {"email": visitor.email}
    assert "drip_device" not in context
    # the identify and the campaign, and the event
    assert sorted(kind for kind, _ in visitor.sent(3)) == ["events", "subscribers", "subscribers"]


@pytest.mark.parametrize(
    ("script", "answer"), [(NOOP, None), (TAG, None)], ids=["the tag", "requests"]
)
def test_what_a_quieter_ad_blocker_stops_the_bridge_sends_once(
    visitor: Visitor, script: str, answer: Any
) -> None:
    visitor.tag.script, visitor.tag.answer = script, answer
    visitor.visit(options={"wait": 1000})
    assert visitor.mark("identify", *visitor.identity) is None
    # nothing more waits for an answer, and no event is given to a tag that does not answer
    visitor.page.evaluate("window.before = performance.now()")
    assert visitor.mark("identify", *visitor.identity) is None
    assert visitor.page.evaluate("performance.now() - before") < 1000
    visitor.tag.answer = {"success": True}
    assert visitor.mark("track", "Signed Up") is None
    assert visitor.given("track") == []
    assert [kind for kind, _ in visitor.sent(3)].count("events") == 1


def test_a_tag_that_comes_late_takes_what_comes_then(visitor: Visitor) -> None:
    visitor.tag.is_held = True
    visitor.visit(options={"wait": 200})
    assert visitor.mark("identify", *visitor.identity) is None
    assert visitor.mark("track", "Early") is None
    visitor.tag.release()
    visitor.page.wait_for_function("window._dc")
    visitor.page.wait_for_timeout(50)
    assert visitor.mark("track", "Late") == ACCOUNT
    # the identify connects the browser with the person; twice is as once. An event is not.
    assert [each[:2] for each in visitor.given()] == [
        ["identify", {"email": visitor.email, "plan": "pro", "user_id": visitor.name}],
        ["track", "Late"],
    ]
    sent = visitor.sent(2)
    assert [item["action"] for kind, item in sent if kind == "events"] == ["Early"]


@pytest.mark.parametrize(
    "answer",
    [
        {"success": False, "error": "no"},
        {"success": True, "anonymous": True},  # Drip has the event, but not as the person's
    ],
    ids=["refused", "of nobody"],
)
def test_what_drip_does_not_take_the_bridge_sends(visitor: Visitor, answer: Any) -> None:
    visitor.visit()
    visitor.call("identify", *visitor.identity)
    visitor.tag.answer = answer
    assert visitor.mark("track", "Signed Up") is None
    visitor.tag.answer = {"success": True}
    assert visitor.mark("track", "Signed In") == ACCOUNT
    sent = [item["action"] for kind, item in visitor.sent(2) if kind == "events"]
    assert sent == ["Signed Up"]


def test_what_the_tag_would_take_for_something_else_is_left_to_the_bridge(visitor: Visitor) -> None:
    visitor.visit(options={"orders": True})
    known = {"email": visitor.email}
    assert visitor.mark("identify", visitor.name, {**known, "eu_consent": "granted"}) is None
    # the browser is connected with the person all the same
    assert visitor.given() == [["identify", {**known, "user_id": visitor.name}]]
    for properties in (
        {"products": [1]},
        {"value": 5},
        {"revenue": "1,50"},
        {"success": "yes"},
        {"email": "friend@example.com"},
        {"note": "x" * 2001},
    ):
        assert visitor.mark("track", "Signed Up", properties) is None
    old = {"timestamp": "2026-01-05T10:00:00.000Z"}
    assert visitor.mark("track", "Signed Up", {}, old) is None
    of_another = {"context": {"traits": {"email": "bo@example.com"}}}
    assert visitor.mark("track", "Signed Up", {}, of_another) is None
    assert visitor.mark("track", "Order Refunded", {"order_id": "A-7"}) is None
    assert visitor.given("track") == []


def test_a_page_that_knows_the_person_from_before_says_so_first(visitor: Visitor) -> None:
    visitor.tag.script = None
    visitor.visit()
    visitor.call("identify", *visitor.identity)
    visitor.tag.script = TAG
    visitor.visit()
    assert visitor.mark("track", "Signed Up") == ACCOUNT
    assert visitor.mark("track", "Signed In") == ACCOUNT
    assert visitor.given() == [
        ["identify", {"email": visitor.email}],
        ["track", "Signed Up", {}],
        ["track", "Signed In", {}],
    ]


def test_what_is_not_for_drip(visitor: Visitor) -> None:
    visitor.visit(chosen={"integrations": {"All": False, "Segment.io": True}})
    for method, *arguments in (("page",), ("identify", *visitor.identity), ("track", "Signed Up")):
        assert "traits" not in visitor.call(method, *arguments)
    assert visitor.tag.loads == 0
    options = {"integrations": {"Drip (Actions)": True}}
    assert visitor.mark("track", "Signed Up", {}, options) == ACCOUNT
    visitor.visit()
    options = {"integrations": {"Drip": True, "Drip (Actions)": False}}
    assert "traits" not in visitor.call("track", "Signed Up", {}, options)


def test_without_consent_drips_tag_is_not_loaded(visitor: Visitor) -> None:
    visitor.visit(options={"consent": ["Marketing"]})
    denied = {"context": {"consent": {"categoryPreferences": {"Marketing": False}}}}
    assert "traits" not in visitor.call("identify", *visitor.identity, denied)
    assert "traits" not in visitor.call("track", "Signed Up")
    assert visitor.tag.loads == 0
    given = {"context": {"consent": {"categoryPreferences": {"Marketing": True}}}}
    visitor.call("page", "Home", {}, given)
    visitor.page.wait_for_function("window._dc")
    assert visitor.mark("track", "Signed Up", {}, given) == ACCOUNT


def test_a_call_is_posted_at_once_if_the_page_is_left_meanwhile(visitor: Visitor) -> None:
    visitor.tag.script = NOOP
    visitor.visit(options={"wait": 60_000})
    visitor.page.wait_for_function("window._dc")
    next_page: list[Route] = []
    visitor.page.route("**/next.html", lambda route: next_page.append(route))
    visitor.page.evaluate("(said) => { analytics.identify(...said) }", [*visitor.identity])
    with visitor.page.expect_response(f"{visitor.bridge.base}/v1/i"):
        visitor.page.evaluate("location = 'next.html'")  # it does not come until the call is posted
    next_page[0].abort()


def test_the_plugin_beside_the_package_as_the_docs_have_it(visitor: Visitor) -> None:
    script = example("webpackIgnore", visitor.bridge.base)
    visitor.visit(
        PAGE.replace('<script src="BRIDGE/plugins/drip.js"></script>', "").replace(
            "analytics.register(dripPlugin(OPTIONS))", f"window.registered = {script}"
        )
    )
    visitor.page.evaluate("window.registered.then(() => null)")
    assert visitor.mark("track", "Signed Up") == ACCOUNT


def test_the_plugin_beside_the_snippet_as_the_docs_have_it(visitor: Visitor) -> None:
    visitor.visit(SNIPPET.replace("PLUGIN", example("onload=", visitor.bridge.base)))
    visitor.page.wait_for_function("window.dripPlugin && analytics.initialized")
    visitor.page.wait_for_function("window._dc")
    assert visitor.mark("track", "Signed Up") == ACCOUNT


SNIPPET = """<!doctype html>
<title>Shop</title>
<script>
  // what Segment's snippet does: calls wait until analytics.js is there, `register` among them
  var analytics = window.analytics = []
  for (const name of ['register', 'track', 'identify', 'page']) {
    analytics[name] = (...args) => { analytics.push([name, ...args]) }
  }
  analytics._writeKey = 'KEY'
  analytics._cdn = 'BRIDGE'
</script>
PLUGIN
<script src="/node_modules/@segment/analytics-next/dist/umd/standalone.js"></script>
"""
