"""Format counts, times and text for people to read.

Times are seconds since the epoch, and are shown in UTC. Everything here is pure and knows no other
part of the bridge.
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

TIME_FIELDS = ("received_at", "due_at", "settled_at", "dismissed_at")
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


def list_time(at: float) -> str:
    """`2026-11-02 09:30:07`, for columns of a terminal. It is in UTC, which the header says."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


def clock_time(at: float, now: float) -> str:
    """`09:30:07 UTC`, with the date in front if it is not today's."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    form = "%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S"
    return f"{moment:{form}} UTC"


def minute_time(at: float, now: float) -> str:
    """`09:30 UTC`, with the day in front if it is not today: `29 Nov 09:30 UTC`."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    form = "%H:%M" if moment.date() == today.date() else "%-d %b %H:%M"
    return f"{moment:{form}} UTC"


def short_time(at: float) -> str:
    """`26 Nov 02:06:53`, for lists. It is in UTC, which the column's head says."""
    return f"{datetime.fromtimestamp(at, UTC):%-d %b %H:%M:%S}"


def days(number: float) -> str:
    """`7 days`, `0.5 days`."""
    return f"{number:g} day" if number == 1 else f"{number:g} days"


def read_time(text: object) -> float | None:
    """Seconds since the epoch of an ISO 8601 time, in UTC unless it has an offset. None if it is
    no such time."""
    try:
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


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


def seconds(number: float) -> str:
    """`0.05 s`, `12 s`, `4 min`: a duration with as many digits as matter."""
    if number < 10:
        return f"{number:.2f} s" if number < 1 else f"{number:.1f} s"
    return short_duration(number)


def size_of(number: int) -> str:
    """`6.9 MB`, `2.1 GB`."""
    return f"{number / 1e6:,.1f} MB" if number < 1e9 else f"{number / 1e9:,.1f} GB"


def percent(part: int, whole: int) -> str:
    """`99.5 %`, `100 %`: a share, with 0 % of nothing."""
    share = 100 * part / whole if whole else 0.0
    return f"{share:.1f} %" if 0 < share < 100 else f"{share:.0f} %"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": DAY}


def read_duration(text: str) -> float | None:
    """The seconds of `90s`, `15m`, `1h` or `7d`; None if the text is no such thing."""
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip())
    return int(match[1]) * float(_UNITS[match[2]]) if match else None


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
    """`data.subscriber: Missing; event: Not text.`."""
    parts = [f"{field}: {reason}" if field else reason for field, reason in reasons]
    return "; ".join([*(part.rstrip(".") for part in parts[:-1]), *parts[-1:]])


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
