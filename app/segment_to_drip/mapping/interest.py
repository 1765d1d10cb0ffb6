"""Decide which calls Drip should not get, and which campaign a call asks for. Pure."""

import re
from typing import Any

from app.segment_to_drip.mapping.external_ids import external_ids
from app.segment_to_drip.mapping.traits import DESTINATIONS, letters_of
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall

DEVICE_MODE = "device mode"
"""The reason of calls that the browser has sent to Drip."""

CAMPAIGN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""It becomes part of a URL, and may come from a browser."""


def reason_to_ignore(call: SegmentCall, account: str, options: DripOptions) -> str:
    """Why a call should not be sent to this account of Drip, or ""."""
    if _is_own(call):
        return "sent by this bridge"
    if any(call.integrations.get(name) is False for name in DESTINATIONS):
        return "integrations"
    if call.type in ("identify", "track") and _is_sent_by_browser(call, account, options):
        return DEVICE_MODE
    return ""


def is_left_out(integrations: Any) -> bool:
    """Whether a call is for some destinations only, and Drip is none of them.

    This is for calls that come from where they were made. What Segment has passed on, it has also
    filtered, and may have put `All: false` there itself (docs/development/facts.md § 6).
    """
    if not isinstance(integrations, dict) or integrations.get("All") is not False:
        return False
    return all(integrations.get(name) in (None, False) for name in DESTINATIONS)


def _is_own(call: SegmentCall) -> bool:
    """Whether it is an email event that the bridge itself sent to Segment. Drip would tell of it
    again, and so on for ever."""
    integration = call.context.get("integration")
    is_drips = isinstance(integration, dict) and integration.get("name") == "Drip"
    return is_drips or (call.message_id or "").startswith("drip-")


def has_consent(call: SegmentCall, categories: tuple[str, ...]) -> bool:
    """Whether the person has consented to all of these. What is not said counts as no. An alias
    sends nothing, and what asks for deletion needs no consent."""
    if call.type in ("alias", "delete"):
        return True
    consent = call.context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    given = preferences if isinstance(preferences, dict) else {}
    return all(given.get(category) is True for category in categories)


def _is_sent_by_browser(call: SegmentCall, account: str, options: DripOptions) -> bool:
    """Whether Drip has the call from the browser.

    The mark of the plugin for browsers says so, and for which account, after Drip has answered
    there. What is bundled is only what should have run.
    """
    mark = call.context.get("drip_device")
    if mark is True or (account and mark == account):
        return True
    bundled = call.metadata.get("bundled")
    return options.skip_device_mode and isinstance(bundled, list) and "Drip" in bundled


def campaign_of(call: SegmentCall, options: DripOptions) -> str | None:
    """The id of the Email Series campaign that the person is to join: that in the call's
    `integrations`, in whatever spelling, or among its external ids, else that of the settings. None
    if there is none."""
    for name in DESTINATIONS:
        wanted = call.integrations.get(name)
        if not isinstance(wanted, dict):
            continue
        for key, value in wanted.items():
            if letters_of(key) == "campaignid" and value is not None:
                return read_campaign(value, f"integrations.{name}.{key}", call)
    for path, value in external_ids(call.context, "dripCampaignId"):
        return read_campaign(value, path, call)
    return options.campaign_id


def read_campaign(value: Any, path: str, call: SegmentCall) -> str | None:
    """The id of a campaign. None if it cannot be one, which is noted."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if CAMPAIGN_ID.fullmatch(text.strip()):
        return text.strip()
    call.left_out[path] = "Not a campaign's id."
    return None
