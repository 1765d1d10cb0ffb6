"""For everyone: on a phone, without JavaScript, by a screen reader, in the dark, when attacked."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.fake_segment import FakeSegment, Reply

OPENED = json.loads((ROOT / "samples" / "opened_email.json").read_text())
NOT_JSON = b'{"event": "x<script>'

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
NARROW = {"viewport": {"width": 320, "height": 640}}
WIDE = {"viewport": {"width": 1280, "height": 900}}


def put_one_of_each(site: BridgeProcess, segment: FakeSegment) -> list[str]:
    """A sent, a dead and a quarantined event. Gives the addresses of all pages."""
    sent = site.post(json.dumps(OPENED).encode()).json()["message_id"]
    segment.wait_for(1)
    segment.behave = lambda _: Reply(400)
    dying = {**OPENED, "event": "subscriber.complained"}
    dead = site.post(json.dumps(dying).encode()).json()["message_id"]
    site.wait_for_log("event=dead")
    site.post(NOT_JSON)
    found = site.flask("events", "--state", "quarantined", "--json")
    quarantined = json.loads(found.stdout)["message_id"]
    events = [f"/events/{message_id}" for message_id in (sent, dead, quarantined)]
    return ["/", "/?per=hour&q=nobody", "/erase", "/sample", "/requeue?which=dead", *events]


@pytest.mark.parametrize("context_options", [NARROW], ids=["narrow"])
def test_no_page_is_wider_than_the_screen(
    page: Page, site: BridgeProcess, segment: FakeSegment
) -> None:
    for address in ["/", *put_one_of_each(site, segment)]:
        page.goto(address)
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], (address, widths)


@pytest.mark.parametrize("context_options", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_passes_axe_by_day_and_by_night(
    guest: Page, site: BridgeProcess, segment: FakeSegment
) -> None:
    guest.goto("/login")
    assert_no_violation(guest)
    log_in(guest)
    expect(guest.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    assert_no_violation(guest)
    for address in put_one_of_each(site, segment):
        guest.goto(address)
        assert_no_violation(guest)


def assert_no_violation(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        rules: list[dict[str, Any]] = Axe().run(page).response["violations"]
        found = [(rule["id"], [node["html"] for node in rule["nodes"][:3]]) for rule in rules]
        assert found == [], (page.url, scheme)


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no JavaScript"])
def test_all_but_the_live_parts_works_without_javascript(
    page: Page, site: BridgeProcess, segment: FakeSegment
) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Waiting for the first event")
    _, _, _, _, _, sent, dead, _ = put_one_of_each(site, segment)
    page.get_by_role("link", name="Load again").click()
    expect(page.locator("tr[data-id]")).to_have_count(3)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_label("State").select_option("dead")
    page.get_by_role("button", name="Show").click()
    page.locator("tr[data-id] a").click()
    expect(page).to_have_url(site.base + dead)
    page.get_by_role("button", name="Send it again").click()
    expect(page.get_by_text("The event: due now.")).to_be_visible()
    page.goto(sent)
    page.get_by_role("link", name="Reveal addresses").click()
    expect(page.locator("pre").first).to_contain_text("ana@example.com")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


CANARIES = [
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "javascript:document.title='owned'",
    "</textarea></pre></title><svg onload=document.title='owned'>",
    "{{ '7' * 7 }}{% raw %}",
]


def hostile(canary: str) -> bytes:
    """A webhook with it wherever Drip may fill something in."""
    event = json.loads((ROOT / "samples" / "clicked_email.json").read_text())
    event["data"]["account_id"] = None
    event["data"]["subscriber"] = {
        "id": canary,
        "email": f"{canary}@example.org",
        "user_id": canary,
        "time_zone": canary,
        "custom_fields": {canary: canary},
        canary: [canary],
    }
    event["data"]["properties"] = {
        "email_subject": canary,
        "url": canary,
        "user_agent": canary,
        canary: {canary: [canary]},
    }
    return json.dumps(event).encode()


def test_nothing_that_drip_may_fill_in_is_run(page: Page, site: BridgeProcess) -> None:
    for canary in CANARIES:
        site.post(hostile(canary))
        site.post(canary.encode())
    for query in ("", "reveal=1"):
        page.goto(f"/?{query}")
        rows = page.locator("tr[data-id]")
        expect(rows).to_have_count(2 * len(CANARIES))
        addresses = rows.locator("a").evaluate_all("all => all.map(one => one.href)")
        for address in addresses:
            page.goto(f"{address}?{query}&view=raw")
            assert page.title() != "owned"
            page.goto(f"{address}?{query}")
            assert page.title() != "owned"
            assert "7777777" not in page.content()
    for canary in CANARIES:
        page.goto(f"/?{urlencode({'q': canary, 'account': canary, 'since': canary})}")
        assert page.title() != "owned"
        assert page.get_by_role("searchbox").input_value() == canary.strip()
