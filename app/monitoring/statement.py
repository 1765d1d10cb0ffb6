"""State what became of an event and what happens to it next, in plain words."""

from app.destination import Destination
from app.formatting import clock_time, pluralize, relative_time, seconds
from app.outbox.messages import read_history
from app.outbox.search import Event
from app.outbox.status import status_of


def statement(event: Event, now: float, pause: str | None, destination: Destination) -> str:
    """State it in one or two sentences. `pause` is why the account's events are paused, if they
    are."""
    match event.state:
        case "pending":
            return _waiting(event, now, pause, destination)
        case "held":
            set_key = destination.labels.set_key
            return f"Held: no {_key(event, destination)}. Set {set_key}, and restart the bridge."
        case "unidentified":
            return (
                "Held: no email address is known for this person yet. It goes as soon as an "
                "identify or alias call brings one. Without one it expires at "
                f"{_exact_time(event.due_at, now)}."
            )
        case _:
            return _settled(event, now, destination)


def _settled(event: Event, now: float, destination: Destination) -> str:
    at = _settled_time(event, now)
    match event.state:
        case "sent" if not event.tries:
            return f"Done{at}: nothing of it had to be sent."
        case "sent":
            return f"Delivered{at}: {destination.labels.delivered}"
        case "dead":
            return _failed(event, destination)
        case "expired":
            return (
                f"Expired{at}: no email address became known for this person in time. "
                "Not retried automatically."
            )
        case "quarantined":
            return "Rejected: this webhook could not be read, so nothing is sent."
        case _:
            return f"Deleted{at}. Only its id is kept, so that a repeat does not bring it back."


def _waiting(event: Event, now: float, pause: str | None, destination: Destination) -> str:
    match status_of(event, now, pause is not None).word:
        case "Sending":
            again = _exact_time(event.due_at, now)
            return f"Sending. Without an answer it is sent again at {again}."
        case "Paused":
            return _paused(event, pause or "", destination)
        case "Retrying":
            return _retrying(event, now, destination)
        case _ if event.due_at > now:
            return f"Queued until {_exact_time(event.due_at, now)}{_last_answer(event)}."
        case _:
            return "Queued. It goes out with the next batch, usually within seconds."


def _paused(event: Event, pause: str, destination: Destination) -> str:
    name = destination.labels.destination
    answer, _, check = pause.partition(": ")
    if answer in ("HTTP 401", "HTTP 403"):
        what = f"{name} refused the {_key(event, destination)} ({answer})"
    else:
        what = f"{name} does not take events of {_account(event)} ({answer or 'no answer'})"
    advice = f" {check[:1].upper()}{check[1:].rstrip('.')}." if check else ""
    return f"Paused: {what}. Tried again every minute.{advice}"


def _retrying(event: Event, now: float, destination: Destination) -> str:
    when = f" at {_exact_time(event.due_at, now)}" if event.due_at > now else " is due"
    return (
        f"Retrying: attempt {event.tries + 1}{when}{_last_answer(event)}. "
        f"{_end_of_retries(event, now, destination)}"
    )


def _end_of_retries(event: Event, now: float, destination: Destination) -> str:
    policy = destination.retry
    end = event.received_at + policy.give_up_after
    if end > now:
        return f"Retried until {clock_time(end, now)}."
    left = max(policy.fewest_tries - event.tries, 1)
    return f"It fails after {pluralize(left, 'more attempt')}."


def _failed(event: Event, destination: Destination) -> str:
    name, policy = destination.labels.destination, destination.retry
    attempts = read_history(event.history)
    reason = attempts[-1].reason if attempts else event.error or "no reason is known"
    lasted = (event.settled_at or event.received_at) - event.received_at
    if lasted >= policy.give_up_after and event.tries >= policy.fewest_tries:
        hours = policy.give_up_after / 3600
        return f"Failed: no success in {hours:.0f} h. Last answer: {reason}. Not retried any more."
    answer = f"{name} answered {reason}" if reason.startswith("HTTP ") else reason
    return f"Failed: {answer}. Not retried automatically."


def _last_answer(event: Event) -> str:
    attempts = read_history(event.history)
    reason = attempts[-1].reason if attempts else event.error
    return f". Last answer: {reason}" if reason else ""


def _key(event: Event, destination: Destination) -> str:
    return f"{destination.labels.key} of {_account(event)}"


def _account(event: Event) -> str:
    return f"account {event.account}" if event.account else "events without an account"


def _settled_time(event: Event, now: float) -> str:
    if event.settled_at is None:
        return ""
    when = clock_time(event.settled_at, now)
    if event.state != "sent":
        return f" {when}"
    took = max(event.settled_at - event.received_at, 0.0)
    return f" {when} ({seconds(took)} after receipt)"


def _exact_time(at: float, now: float) -> str:
    return f"{clock_time(at, now)} ({relative_time(at, now)})"
