"""Warn of messages that count twice if they are sent again. Pure.

A destination that was thought not to have taken a message may have taken it after all. It drops the
repeat, but only for so long.
"""

from app.destination import Destination
from app.formatting import long_duration


def may_count_twice(destination: Destination, received_at: float, now: float) -> bool:
    """Whether the destination may take a repeat of a message that was received then."""
    return now - received_at > destination.dedupe_window


def drops_repeats(destination: Destination) -> str:
    """A sentence on how long the destination drops repeats."""
    name, window = destination.labels.destination, destination.dedupe_window
    how = f"drops repeats for {long_duration(window)} only" if window else "never drops repeats"
    return f"{name} {how}: one that it took after all will count twice."


def received_before_window(destination: Destination) -> str:
    """When such messages were received, such as "more than 24 hours ago"; "" if any may count
    twice."""
    window = destination.dedupe_window
    return f"more than {long_duration(window)} ago" if window else ""
