"""Say how far a large backlog is, and until when the destination's limits make it last. Pure."""

from app.formatting import minute_time, thousands
from app.monitoring.stats import Stats


def backlog_to_words(stats: Stats, sent: int, destination: str, now: float) -> str:
    """What to say of it; "" if nothing waits long for limits. `sent` is how many were sent in the
    last hour."""
    if not stats.ends:
        return ""
    waits = sum(each.count for each in stats.waiting if each.account in stats.ends)
    ends_at = minute_time(max(stats.ends.values()), now)
    return (
        f"Sent to {destination} in the last hour: {thousands(sent)}. "
        f"Waiting for its limits by the hour: {thousands(waits)}; "
        f"the last of them can go at {ends_at} at the earliest."
    )
