"""Decide what an answer means for the messages of a batch and for its key. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, groupby
from math import inf
from typing import NamedTuple

from app.delivery import retry
from app.delivery.circuit import Circuit
from app.destination import (
    Forbidden,
    InvalidKey,
    RateLimited,
    RetryableError,
    RetryPolicy,
    SendError,
    Unreachable,
)
from app.outbox.messages import Attempt, Claimed, Failed, Lease, Released, Sent, Settlement

KEY_PAUSE = 60.0
"""Seconds until a refused key is tried again: time for an operator to correct a setting."""

NOT_PASSING = 3
"""Failures to connect in a row, over some 20 seconds, after which the trouble counts as one that
does not pass by itself."""

FORBIDDEN_ALONE = 3
"""Messages refused alone, one after another, after which the key is at fault."""

Chance = Callable[[], float]
"""Returns a random number from 0 to 1."""


@dataclass(frozen=True)
class Split:
    """Send the parts one after another, to find out which message is at fault."""

    parts: tuple[Lease, ...]


class Decision(NamedTuple):
    """What becomes of the messages of the lease, and the new state of the key's circuit."""

    outcome: Settlement | Split
    circuit: Circuit


def decide(
    answer: SendError | None,
    lease: Lease,
    circuit: Circuit,
    now: float,
    policy: RetryPolicy,
    chance: Chance,
) -> Decision:
    """Decide what follows from an answer. `answer` is None if the batch was taken; `now` is in
    seconds since the epoch."""
    if not isinstance(answer, Unreachable):
        circuit = replace(circuit, unreachable=0)
    match answer:
        case None:
            return Decision(Sent(now), circuit.after_success(now))
        case RetryableError():
            # the key pauses too: in an outage the backlog uses up no tries, and the destination is
            # not flooded with them
            pause = retry.pause(policy, 1, answer.asked, chance())
            failed = _try_again(answer, lease, now, policy, chance, answer.asked)
            return Decision(failed, circuit.open(now, pause))
        case RateLimited():
            return Decision(_released(answer, now + answer.wait), circuit)
        case InvalidKey():
            return _pause_key(answer, circuit, now)
        case Unreachable():
            return _wait_a_little(answer, circuit, now, policy, chance)
        case Forbidden():
            return _find_forbidden(answer, lease, circuit, now, policy, chance)
        case _:
            return Decision(_bisect(answer, lease, now), circuit)


def _try_again(
    error: SendError,
    lease: Lease,
    now: float,
    policy: RetryPolicy,
    chance: Chance,
    asked: float | None = None,
) -> Failed:
    """Each message waits as long as its own number of tries asks for, or is dead (`next_try`)."""
    due = {}
    for message in lease.messages:
        tries = message.tries + 1
        at = retry.next_try(policy, tries, message.received_at, now, asked, chance())
        if at is not None:
            due[message.id] = at
    return Failed(_attempt(error, now), due)


def _pause_key(error: SendError, circuit: Circuit, now: float, behind: float = 0.0) -> Decision:
    """Pause the key and release the messages, with which nothing is wrong. They are due `behind`
    seconds from now, so that others come before them."""
    opened = replace(circuit.open(now, KEY_PAUSE, str(error)), good_at=-inf)
    return Decision(_released(error, now + behind), opened)


def _wait_a_little(
    error: Unreachable, circuit: Circuit, now: float, policy: RetryPolicy, chance: Chance
) -> Decision:
    """Release the messages and wait: a DNS failure, for example, passes by itself. After
    `NOT_PASSING` failures the circuit has a reason, which is reported to the operator."""
    failures = circuit.unreachable + 1
    seconds = min(retry.pause(policy, failures, None, chance()), KEY_PAUSE)
    reason = str(error) if failures >= NOT_PASSING else ""
    opened = replace(circuit.open(now, seconds, reason), unreachable=failures)
    return Decision(_released(error, now), opened)


def _find_forbidden(
    error: Forbidden,
    lease: Lease,
    circuit: Circuit,
    now: float,
    policy: RetryPolicy,
    chance: Chance,
) -> Decision:
    """Find out whether the key or one message is refused, by sending messages alone.

    If the key worked lately, a message is at fault, unless several messages in a row are refused
    alone: then it is the key. If the key did not, one message is sent alone to find out.
    """
    messages, is_good = lease.messages, circuit.was_good(now)
    if len(messages) > 1:
        parts = _alternately(messages) if is_good else (messages[:1], messages[1:])
        return Decision(_split(lease, parts), circuit)
    refused = circuit.refused_alone | {messages[0].id}
    circuit = replace(circuit, refused_alone=refused)
    if is_good and len(refused) < FORBIDDEN_ALONE:
        return Decision(_try_again(error, lease, now, policy, chance), circuit)
    return _pause_key(error, circuit, now, behind=1.0)  # another message is sent alone next


def _bisect(error: SendError, lease: Lease, now: float) -> Failed | Split:
    """Halve the batch until the message at fault is alone. That one is dead, the others are
    sent."""
    if len(lease.messages) == 1:
        return Failed(_attempt(error, now), {})
    return _split(lease, _halves(lease.messages))


def _alternately(messages: tuple[Claimed, ...]) -> tuple[tuple[Claimed, ...], ...]:
    """Every second message and the others, because neighbours are often about the same email. If
    the messages of a person have an order, they stay together, unless there are no others."""
    groups = [tuple(group) for _, group in groupby(messages, lambda each: each.person or each.id)]
    if len(groups) == 1:
        return _halves(messages)
    return tuple(chain(*groups[::2])), tuple(chain(*groups[1::2]))


def _halves(messages: tuple[Claimed, ...]) -> tuple[tuple[Claimed, ...], ...]:
    middle = len(messages) // 2
    return messages[:middle], messages[middle:]


def _split(lease: Lease, parts: Iterable[tuple[Claimed, ...]]) -> Split:
    return Split(tuple(map(lease.only, parts)))


def _released(error: SendError, due: float) -> Released:
    return Released(due, f"{error} {error.words}".strip())


def _attempt(error: SendError, now: float) -> Attempt:
    return Attempt(now, str(error), error.words)
