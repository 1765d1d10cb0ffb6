"""Decide whether a person's status in Drip is to change. Pure."""

from typing import Any

from app.segment_to_drip.mapping.drip_fields import to_seconds
from app.segment_to_drip.mapping.reading import Given, read_one
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.schema import SegmentCall


def settle_status(
    values: dict[str, Any],
    given: Given,
    custom: dict[str, Any],
    call: SegmentCall,
    options: DripOptions,
) -> None:
    """Nobody is subscribed again by accident: a trait `status: active` is often about something
    else, and browsers resend it. `status_updated_at` without a status would change a status."""
    initial = options.initial_status
    if "initial_status" in given:
        initial = read_one("initial_status", *given["initial_status"], call.left_out) or initial
    if initial != "none":
        values["initial_status"] = initial
    if "status" in given and (status := _status(given, call.left_out, options)):
        values |= status
        return
    for name in ("status", "status_updated_at"):
        if name in given and given[name][0].startswith("traits."):
            custom[name] = given[name][1]


def _status(given: Given, left_out: dict[str, str], options: DripOptions) -> dict[str, Any]:
    """The status to send, and since when; nothing if the trait is about something else."""
    path, raw = given["status"]
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word not in ("unsubscribed", "active"):
        return {}
    status = {"status": word}
    if "status_updated_at" in given:
        updated_at = read_one("status_updated_at", *given["status_updated_at"], left_out)
        if updated_at is not None:
            status["status_updated_at"] = to_seconds(updated_at)
    if word == "unsubscribed" or "status_updated_at" in status or options.allow_resubscribe:
        return status
    left_out[path] = "Sent as a custom field: it would subscribe people again."
    return {}
