"""Describe what happens to an event next, and when, in a sentence."""

from app.destination import Destination
from app.formatting import (
    clock_time,
    join_reasons,
    pluralize,
    read_reasons,
    relative_time,
)
from app.inspector.looks import LOOKS
from app.outbox.messages import read_history
from app.outbox.search import Event


def what_next(event: Event, now: float, pause: str | None, destination: Destination) -> str:
    """Describe what happens next. `pause` is why the account's events are paused, if they are."""
    name = destination.labels.destination
    match event.state:
        case "pending":
            return _pending(event, now, pause, destination)
        case "held":
            return _held(event, destination)
        case "sent":
            return f"Sent{_settled_time(event, now)}: {name} took it. Nothing more will happen."
        case "dead":
            return (
                f"Given up{_settled_time(event, now)} after {_tries(event)}{_last_reason(event)}. "
                "It will not be tried again, unless you send it again."
            )
        case "unidentified" | "expired":
            return _without_address(event, now)
        case "quarantined":
            return (
                f"Set aside{_settled_time(event, now)}, because it could not be read: "
                f"{_unreadable_reasons(event)}. "
                "Nothing is sent until it can be: have it read again after an upgrade."
            )
        case "erased":
            return (
                f"Erased{_settled_time(event, now)}. All that is left is that it was here, "
                "so that a re-send does not bring it back."
            )


def _without_address(event: Event, now: float) -> str:
    if event.state == "expired":
        return (
            f"Given up{_settled_time(event, now)}: no address came in time to send it to. "
            "It will not be tried again."
        )
    return (
        "Waits for an address: it names none, and none is known of its user id or anonymous id "
        "yet. It goes as soon as an identify or alias call brings one. If none comes by "
        f"{_exact_time(event.due_at, now)}, it expires."
    )


def _pending(event: Event, now: float, pause: str | None, destination: Destination) -> str:
    if event.lease is not None and event.due_at > now:
        return (
            "Being sent now. Should its deliverer die, it is tried again at "
            f"{_exact_time(event.due_at, now)}."
        )
    if pause is not None:
        return (
            f"Waits, untried: the {LOOKS[destination.name].key} of its account is refused, or "
            f"{destination.labels.destination} is not reached ({pause}). That is tried again each "
            "minute."
        )
    if event.due_at > now:
        return (
            f"Tries again at {_exact_time(event.due_at, now)}, after {_tries(event)} that failed"
            f"{_last_reason(event)}. {_give_up_time(event, now, destination)}"
        )
    return "Due now: it goes out with the next batch, within seconds if a deliverer runs."


def _held(event: Event, destination: Destination) -> str:
    look, account = LOOKS[destination.name], "events without an account"
    if event.account:
        account = f"{destination.labels.account} {event.account}"
    return (
        f"Held: waits for a {look.key} for {account}. Set {look.set_key}, and start the bridge "
        "again: it goes out at once."
    )


def _give_up_time(event: Event, now: float, destination: Destination) -> str:
    policy = destination.retry
    end = event.received_at + policy.give_up_after
    if end > now:
        name = destination.labels.destination
        return f"Given up after {clock_time(end, now)}, if {name} has not taken it by then."
    return (
        f"Given up if it fails {pluralize(max(policy.fewest_tries - event.tries, 1), 'more time')}."
    )


def _tries(event: Event) -> str:
    return pluralize(event.tries, "try", "tries")


def _last_reason(event: Event) -> str:
    attempts = read_history(event.history)
    return f" ({attempts[-1].reason})" if attempts else ""


def _unreadable_reasons(event: Event) -> str:
    return join_reasons(read_reasons(event.error)).rstrip(".")


def _settled_time(event: Event, now: float) -> str:
    return "" if event.settled_at is None else f" at {_exact_time(event.settled_at, now)}"


def _exact_time(at: float, now: float) -> str:
    return f"{clock_time(at, now)} ({relative_time(at, now)})"
