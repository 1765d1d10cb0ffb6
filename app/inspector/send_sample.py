"""`/sample`: send a made-up event the whole way, as if Drip had posted it."""

import json
import time
from uuid import uuid4

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.drip_to_segment.translate import translate
from app.errors import OutboxUnavailable
from app.formatting import iso_time
from app.inspector.actions import confirm_page
from app.outbox.messages import Message


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """Register `/sample`, which confirms first: what Segment was sent cannot be taken back."""

    @blueprint.get("/sample")
    def ask_to_send_sample() -> ResponseReturnValue:
        account = sample_account(bridge)
        outcome = (
            "It is sent to Segment like any other, and Segment keeps it."
            if bridge.drip_to_segment.destination.key_for(account)
            else "No write key is set for it, so it is held until one is."
        )
        sentence = (
            f"One “Email Opened” of a made-up person, {PERSON}, goes the whole way from webhook to "
            f"Segment, as Drip account {account}. {outcome}"
        )
        back = url_for("inspector.setup")
        return confirm_page("Send a sample event?", [sentence], "Send it", back)

    @blueprint.post("/sample")
    def send_sample() -> ResponseReturnValue:
        now = time.time()
        message = translate(build_sample(sample_account(bridge), now), now)
        assert isinstance(message, Message)  # noqa: S101 - the sample is a valid email event
        try:
            bridge.drip_to_segment.outbox.put(message)
        except OutboxUnavailable as error:
            flash(f"The sample could not be kept: {error}", "bad")
            return redirect(url_for("inspector.setup"), 303)
        flash("The sample is kept. This page shows what becomes of it.", "good")
        return redirect(url_for("inspector.event", message_id=message.message_id), 303)


def sample_account(bridge: Bridge) -> str:
    """Return a Drip account whose events have a write key, if there is one."""
    settings = bridge.settings
    keyed = None if settings.write_key else next(iter(settings.write_keys), None)
    return keyed or settings.drip_account_id or "9999999"


PERSON = "sample-person@example.com"
SUBJECT = "Sample event of the bridge"


def build_sample(account: str, now: float) -> bytes:
    """Build a webhook's body as Drip posts it. No two are the same event."""
    event = {
        "event": "subscriber.opened_email",
        "data": {
            "account_id": account,
            "subscriber": {"id": "sample-person", "email": PERSON, "user_id": None},
            "properties": {
                "delivery_id": f"sample-{uuid4().hex}",
                "email_id": "sample",
                "email_subject": SUBJECT,
            },
        },
        "occurred_at": iso_time(now),
    }
    return json.dumps(event).encode()
