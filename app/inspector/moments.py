"""Moments and spans in words. Pure; times are seconds since the epoch, in UTC."""

from datetime import UTC, datetime


def iso(at: float) -> str:
    """`2026-11-02T09:30:07Z`, for people and for `<time datetime>`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at: float, now: float) -> str:
    """`09:30:07`, with the day in front where it is another."""
    moment, today = datetime.fromtimestamp(at, UTC), datetime.fromtimestamp(now, UTC)
    form = "%H:%M:%S" if moment.date() == today.date() else "%Y-%m-%d %H:%M:%S"
    return f"{moment:{form}} UTC"


def relative(at: float, now: float) -> str:
    """`4 min ago`, `in 4 min`."""
    seconds = at - now
    if abs(seconds) < 1:
        return "now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def span(seconds: float) -> str:
    """`12 s`, `4 min`, `3 h`, `2 days`."""
    for most, unit, name in ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < most:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds // 86_400:.0f} days"
