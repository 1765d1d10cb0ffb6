"""Format counts, times and text for people to read.

Times are seconds since the epoch, and are shown in UTC. Everything here is pure and knows no other
part of the bridge.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

TIME_FIELDS = ("received_at", "due_at", "settled_at")
"""The fields of an event that are times."""

DAY = 86_400


def thousands(number: int) -> str:
    """`2,000`."""
    return f"{number:,}"


def pluralize(count: int, singular: str, plural: str = "") -> str:
    """`1 event`, `2,000 events`. Without `plural` an "s" is added."""
    noun = singular if count == 1 else plural or f"{singular}s"
    return f"{thousands(count)} {noun}"


def iso_time(at: float) -> str:
    """`2026-11-02T09:30:07Z`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock_time(at: float, now: float) -> str:
    """`09:30:07 UTC`, with the date in front if it is not today's."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    form = "%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S"
    return f"{moment:{form}} UTC"


def relative_time(at: float, now: float) -> str:
    """`4 min ago`, `in 4 min`."""
    seconds = at - now
    if abs(seconds) < 1:
        return "now"
    return f"in {short_duration(seconds)}" if seconds > 0 else f"{short_duration(-seconds)} ago"


def short_duration(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `2 days`: rounded down, for pages."""
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (2 * DAY, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds // DAY:.0f} days"


def long_duration(seconds: float) -> str:
    """`90 minutes`, `3 hours`: rounded, for sentences."""
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"


def printable(text: str, keep: str = "") -> str:
    """Escape every character that is invisible, drives a terminal or reorders text.

    Events hold text from strangers. `keep` names characters to leave alone, such as "\\n".
    """
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def escape_undecodable(raw: bytes) -> str:
    """Decode bytes that are not valid text, writing each undecodable byte as `\\xNN`.

    A backslash is doubled, so that the original bytes can be told from escapes.
    """
    return raw.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


def read_reasons(error: str | None) -> list[tuple[str, str]]:
    """Split an event's `error` into (field, reason) pairs.

    A body that could not be read has a JSON object of reasons by field. Any other error is one
    reason, whose field is "".
    """
    try:
        fields = json.loads(error or "{}")
        return [(field, " ".join(reasons)) for field, reasons in fields.items()]
    except (ValueError, AttributeError, TypeError):
        return [("", error or "")]


def join_reasons(reasons: Iterable[tuple[str, str]]) -> str:
    """`data.subscriber: Missing.; event: Not text.`."""
    return "; ".join(f"{field}: {reason}" if field else reason for field, reason in reasons)


def event_to_values(
    fields: Mapping[str, Any], format_time: Callable[[float], str]
) -> dict[str, Any]:
    """Turn the fields of a kept event into values that JSON can hold.

    The body becomes text. If it is not text, `raw` is None and `raw_base64` has the body.
    """
    values = dict(fields)
    for name in TIME_FIELDS:
        if values[name] is not None:
            values[name] = format_time(values[name])
    values["payload"] = values["payload"] and json.loads(values["payload"])
    raw: bytes = values["raw"]
    try:
        values["raw"] = raw.decode()
    except UnicodeDecodeError:
        values["raw"] = None
        values["raw_base64"] = b64encode(raw).decode()
    return values
