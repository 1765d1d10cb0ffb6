"""The script of the plugin for browsers, and what the bridge makes of its mark."""

import json
from importlib.resources import files
from typing import Any

import pytest

from app.outbox.messages import Ignored
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.people.identity import Found, Memory
from app.segment_to_drip.receiving.plugin import script_for
from app.segment_to_drip.translate import translate

ACCOUNT = "8838307"
TRACK = {"type": "track", "event": "Signed Up", "userId": "u1"}


def test_the_plugin_is_short() -> None:
    plugin = files("app.segment_to_drip.receiving") / "drip.js"
    assert len(plugin.read_text(encoding="utf-8").splitlines()) < 150


def test_the_script_ends_with_the_settings_of_the_bridge() -> None:
    options = DripOptions(
        default_account=ACCOUNT,
        campaign_id="abc123",
        double_optin=True,
        consent_categories=("Marketing", "Ads"),
        orders=True,
    )
    last = script_for(options).splitlines()[-1]
    assert json.loads(last.removeprefix("window.dripPlugin.defaults = ")) == {
        "account": ACCOUNT,
        "campaignId": "abc123",
        "doubleOptin": True,
        "consent": ["Marketing", "Ads"],
        "orders": True,
    }


def _translated(call: Any, **options: Any) -> Any:
    return translate(json.dumps(call).encode(), 0.0, ACCOUNT, DripOptions(**options))


@pytest.mark.parametrize(
    ("mark", "is_ignored"),
    [(ACCOUNT, True), (True, True), ("5150", False), (False, False), (1, False), ("", False)],
)
def test_a_mark_counts_for_its_account(mark: Any, is_ignored: bool) -> None:
    found = _translated({**TRACK, "context": {"drip_device": mark}})
    assert (found == Ignored("track", "device mode")) is is_ignored


def test_without_an_account_no_mark_counts_by_accident() -> None:
    found = translate(
        json.dumps({**TRACK, "context": {"drip_device": ""}}).encode(), 0.0, "", DripOptions()
    )
    assert not isinstance(found, Ignored)


def test_the_address_of_a_marked_identify_is_learnt() -> None:
    identify = {
        "type": "identify",
        "userId": "u1",
        "traits": {"email": "ana@example.com"},
        "context": {"drip_device": ACCOUNT},
    }
    memory = Memory({})
    memory.find(json.loads(_translated(identify).payload))
    assert memory.find(json.loads(_translated(TRACK).payload)) == Found("ana@example.com", "u:u1")


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "u1", "traits": {"plan": "pro"}},
        {"type": "identify", "anonymousId": "a1"},
    ],
)
def test_of_a_bundled_identify_without_an_address_nothing_is_kept(call: Any) -> None:
    bundled = {**call, "_metadata": {"bundled": ["Drip"]}}
    assert _translated(bundled, skip_device_mode=True) == Ignored("identify", "device mode")


def test_an_alias_is_never_what_the_tag_has_sent() -> None:
    alias = {"type": "alias", "userId": "u1", "previousId": "a1", "context": {"drip_device": True}}
    assert not isinstance(_translated(alias), Ignored)
