"""Explain issues: what a reason means, and whether the messages are tried again. Pure."""

import re

from app.destination import Destination
from app.formatting import long_duration
from app.monitoring.stats import Issue

ANSWERS = {
    "400": "it found a fault in the event",
    "401": "it did not accept the key",
    "403": "it, or a firewall on the way, refused the event",
    "404": "it found nothing there to apply the event to",
    "413": "the event is too large for it",
    "422": "a value in the event is not one that it takes",
}
"""What a status says of a message that was sent alone."""


def explain(issue: Issue, destination: Destination) -> str:
    """What the reason of an issue means, in sentences."""
    labels = destination.labels
    match issue.state:
        case "quarantined":
            return (
                f"What {labels.source} posted is no event that this version can read. It is kept "
                "whole. Retry it after an upgrade. If something else posts to the webhook's "
                "address, such as another automation, take the address out there, and dismiss."
            )
        case "expired":
            return (
                "No address was known for these people, and none came in time. Retry them if one "
                "has become known since."
            )
        case _:
            return f"{_of_dead(issue, destination)} They are not tried again by themselves."


def _of_dead(issue: Issue, destination: Destination) -> str:
    name = destination.labels.destination
    status = re.match(r"HTTP (\d{3})", issue.reason)
    if status and status[1] in ANSWERS:
        return f"{name} answered {status[1]}: {ANSWERS[status[1]]}. The same would come again."
    if status and status[1].startswith("4"):
        return f"{name} answered {status[1]}. The same would come again."
    patience = long_duration(destination.retry.give_up_after)
    return f"{name} took nothing of them in {patience} of tries. If it does now, retry them."
