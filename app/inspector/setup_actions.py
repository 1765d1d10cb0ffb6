"""The buttons of `/setup` that ask another service: Drip, or the chat that takes alerts.

Each ends within the time that its client allows, and reports on the page what was answered.
"""

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.clients.drip import DripError
from app.config.settings import Settings
from app.drip_to_segment.webhook_check import (
    check_webhook,
    create_webhook,
    drip_client,
    missing_settings,
)
from app.errors import AlertNotDelivered
from app.inspector.limits import CALLS_OUT
from app.monitoring.alerts import post_text

TEST_TEXT = "This is a test: alerts of the Drip-Segment bridge come here."

Flash = tuple[str, str]
"""A message, and of which kind it is: "good" or "bad"."""


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/setup/check-drip`, `/setup/create-drip` and `/setup/test-alert`."""
    settings = bridge.settings

    @blueprint.post("/setup/check-drip")
    def check_drip() -> ResponseReturnValue:
        with CALLS_OUT.slot():
            return _report(_ask_drip(settings, settings.public_url, may_create=False))

    @blueprint.post("/setup/create-drip")
    def create_drip() -> ResponseReturnValue:
        with CALLS_OUT.slot():
            return _report(_ask_drip(settings, settings.public_url, may_create=True))

    @blueprint.post("/setup/test-alert")
    def test_alert() -> ResponseReturnValue:
        with CALLS_OUT.slot():
            return _report(_test_alert(settings.alert_webhook_url))


def _report(message: Flash) -> ResponseReturnValue:
    flash(*message)
    return redirect(url_for("inspector.setup"), 303)


def _ask_drip(settings: Settings, base: str | None, may_create: bool) -> Flash:
    """Check the webhook, in the words of `flask drip check`. Without a `base` it is known by its
    token alone, and cannot be created."""
    drip = drip_client(settings)
    if drip is None:
        return f"Set this first. {' '.join(missing_settings(settings))}", "bad"
    try:
        if may_create and base:
            checked = create_webhook(drip, settings, base)
        else:
            checked = check_webhook(drip, settings, base)
    except DripError as error:
        return str(error), "bad"
    text = " ".join(line.strip() for line in checked.lines)
    return text, "good" if checked.is_good else "bad"


def _test_alert(url: str | None) -> Flash:
    if url is None:
        return "Set ALERT_WEBHOOK_URL first.", "bad"
    try:
        post_text(url, TEST_TEXT)
    except AlertNotDelivered as error:
        return f"The test was not delivered: {error}.", "bad"
    return f"{urlsplit(url).hostname} took the test. See whether it shows in your chat.", "good"
