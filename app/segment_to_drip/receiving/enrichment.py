"""Add to a call what Segment's own API adds before it passes the call on. Pure.

Afterwards a call from an SDK looks like one that Segment's webhook has posted.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from marshmallow import ValidationError

from app.segment_to_drip.mapping.drip_fields import INSTANT

_MOBILE = re.compile(r"analytics[-_](android|flutter|ios|kotlin|react-native|swift)")
"""In the names of the SDKs that run on a person's own device, beside that for browsers."""


class Arrival(NamedTuple):
    """What the receiver knows of a request."""

    at: float
    """When it came, in seconds since the epoch."""
    address: str
    """The IP address that it came from, or "" if that is not known."""
    is_browser: bool
    """Whether a browser sent it, so that the address is a person's and not a server's."""


def enrich(
    call: Mapping[str, Any], shared: Mapping[str, Any], arrival: Arrival, new_id: str
) -> dict[str, Any]:
    """The call with its times, and an id and an IP address if it has none. The write key is taken
    out: it is not for those who look at events.

    `shared` is what the batch says for all its calls; what a call says itself counts over it.
    """
    own = {name: value for name, value in call.items() if value is not None and name != "writeKey"}
    enriched = {**shared, **own}
    enriched["messageId"] = own.get("messageId") or f"api-{new_id}"
    for name in ("context", "integrations"):
        if isinstance(shared.get(name), dict) and isinstance(own.get(name), dict):
            enriched[name] = {**shared[name], **own[name]}
    _add_address(enriched, arrival)
    _add_times(enriched, arrival.at)
    return enriched


def _add_address(call: dict[str, Any], arrival: Arrival) -> None:
    """Add the IP address, if the call comes from the device of the person. That of a server would
    be no person's."""
    context = call.get("context") or {}
    if not arrival.address or not isinstance(context, dict) or context.get("ip"):
        return
    library = context.get("library")
    name = library.get("name") if isinstance(library, dict) else None
    is_mobile = isinstance(name, str) and _MOBILE.search(name)
    if arrival.is_browser or is_mobile or context.get("direct") is True:
        call["context"] = {**context, "ip": arrival.address}


def _add_times(call: dict[str, Any], received_at: float) -> None:
    """Correct the time by the clock of the sender: what was sent and received at the same moment
    shows by how much that clock is wrong. A time that cannot be read stays as it is."""
    received = datetime.fromtimestamp(received_at, UTC)
    call["receivedAt"] = _written(received)
    original = call.get("timestamp") or call.get("originalTimestamp")
    if not original:
        call["timestamp"] = call["receivedAt"]
        return
    call["originalTimestamp"] = call["timestamp"] = original
    happened, sent = _read(original), _read(call.get("sentAt"))
    if happened is None or sent is None:
        return
    since: timedelta = sent - happened
    try:
        call["timestamp"] = _written(received - since)
    except OverflowError:
        return


def _read(written: Any) -> datetime | None:
    try:
        instant: datetime | None = INSTANT.deserialize(written)
    except ValidationError:
        return None
    return instant


def _written(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
