"""For everyone: on a phone, without JavaScript, by a screen reader, in the dark, when attacked."""

import json
import re
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import log_in
from tests.browser.site import Site
from tests.support.accessibility import NARROW, PHONE, SMALL, WIDE, assert_no_violation
from tests.support.bridge_process import ROOT
from tests.support.fake_segment import FakeSegment, Reply

OPENED = json.loads((ROOT / "samples" / "opened_email.json").read_text())
NOT_JSON = b'{"event": "x<script>'


def put_one_of_each(site: Site, segment: FakeSegment) -> list[str]:
    """A sent, a dead and a quarantined event. Gives the addresses of all pages."""
    sent = site.post(json.dumps(OPENED).encode()).json()["message_id"]
    segment.wait_for(1)
    segment.behave = lambda _: Reply(400)
    dying = {**OPENED, "event": "subscriber.complained"}
    dead = site.post(json.dumps(dying).encode()).json()["message_id"]
    site.wait_for("dead")
    site.post(NOT_JSON)
    quarantined = site.wait_for("quarantined")
    events = [f"/events/{message_id}" for message_id in (sent, dead, quarantined)]
    lists = ["/events", "/events?q=nobody", "/events?state=lost&since=yesterday"]
    return ["/", *lists, "/issues", "/erase", "/sample", "/try", *events]


@pytest.mark.parametrize("context_options", [NARROW], ids=["narrow"])
def test_no_page_is_wider_than_the_screen(page: Page, site: Site, segment: FakeSegment) -> None:
    for address in ["/", *put_one_of_each(site, segment)]:
        page.goto(address)
        widths = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths[0] <= widths[1], (address, widths)


@pytest.mark.parametrize("context_options", [SMALL], ids=["small"])
def test_the_first_event_is_on_the_first_screen_of_a_phone(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    put_one_of_each(site, segment)
    for address in ("/events", "/events?state=dead", "/events?q=ana%40example.com"):
        page.goto(address)
        row = page.locator("tr[data-id]").first.bounding_box()
        assert row, address
        assert row["y"] + row["height"] < 740, address
        assert row["height"] < 80, address  # two lines


@pytest.mark.parametrize("context_options", [SMALL], ids=["small"])
def test_the_page_of_an_event_is_short_on_a_phone(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    for address in put_one_of_each(site, segment)[-3:]:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollHeight / innerHeight") < 3, address


@pytest.mark.parametrize("context_options", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_passes_axe_by_day_and_by_night(
    guest: Page, site: Site, segment: FakeSegment
) -> None:
    guest.goto("/login")
    assert_no_violation(guest)
    log_in(guest)
    assert_no_violation(guest)
    guest.goto("/events")
    for address in put_one_of_each(site, segment):
        guest.goto(address)
        guest.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert_no_violation(guest)


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no JavaScript"])
def test_all_but_the_live_parts_works_without_javascript(
    page: Page, site: Site, segment: FakeSegment
) -> None:
    *_, sent, dead, _ = put_one_of_each(site, segment)
    page.goto("/events")
    expect(page.locator("tr[data-id]")).to_have_count(3)
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_role("navigation", name="Status").get_by_role("link", name="Failed").click()
    page.locator("tr[data-id] a").click()
    expect(page).to_have_url(site.base + dead)
    segment.behave = lambda _: Reply(500)
    page.get_by_role("button", name="Retry").click()
    page.get_by_role("link", name="Refresh").click()
    expect(page.locator("h1 .badge")).to_have_text(re.compile("Queued|Sending|Retrying"))
    page.goto(sent)
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("link", name="Show email addresses").click()
    expect(page.locator("#call")).to_contain_text("ana@example.com")
    page.get_by_role("heading", name="Field mapping").click()
    expect(page.get_by_role("row").filter(has_text="data.properties.email_id")).to_be_visible()
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


def test_nothing_that_drip_may_fill_in_is_run(page: Page, site: Site) -> None:
    for canary in CANARIES:
        site.post(hostile(canary))
        site.post(canary.encode())
    for query in ("", "reveal=1"):
        page.goto(f"/events?{query}")
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
        page.goto(f"/events?{urlencode({'q': canary, 'account': canary, 'since': canary})}")
        assert page.title() != "owned"
        assert page.get_by_role("searchbox").input_value() == canary.strip()
