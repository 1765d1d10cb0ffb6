"""Log and count what a destination answered, and what became of the messages."""

import logging
from typing import Any

from app.destination import (
    BatchRejected,
    Forbidden,
    InvalidKey,
    RateLimited,
    RetryableError,
    SendError,
    Unreachable,
)
from app.logs import get_logger
from app.monitoring import metrics
from app.outbox.messages import Claimed, Failed, Lease, Settlement, outcome_of

log = get_logger(__name__)

LOGGED_AS: dict[type[SendError], tuple[int, str]] = {
    RetryableError: (logging.WARNING, "not taken, trying again later"),
    RateLimited: (logging.INFO, "limit reached, waiting"),
    InvalidKey: (logging.ERROR, "key refused, pausing it"),
    Unreachable: (logging.ERROR, "not reached, trying again soon"),
    Forbidden: (logging.WARNING, "batch refused because of the key or an event in it"),
    BatchRejected: (logging.WARNING, "batch refused because of an event in it"),
}
"""The level and the event with which each failure is logged."""


class Fault(RetryableError):
    """The bridge itself failed while it sent."""


def count_answer(destination: str, answer: SendError | None, seconds: float) -> None:
    """Count an answer, None if the batch was taken."""
    if answer is None:
        metrics.count_batch(destination, "Sent", 200, seconds)
    else:
        result = type(answer).__name__
        metrics.count_batch(destination, result, answer.status, seconds)


def log_answer(answer: SendError | None, lease: Lease, seconds: float) -> None:
    """Log an answer, which took so many seconds."""
    accounts = lease.accounts
    fields: dict[str, Any] = {
        "events": len(lease.messages),
        **({"account": accounts[0] or None} if len(accounts) == 1 else {"accounts": len(accounts)}),
        "attempt": max(message.tries for message in lease.messages) + 1,
        "seconds": round(seconds, 4),
    }
    if answer is None:
        log.info("sent", **fields)
    else:
        level, text = LOGGED_AS.get(type(answer), LOGGED_AS[BatchRejected])
        log.log(level, text, reason=str(answer), **fields)


def log_outcomes(lease: Lease, settlement: Settlement) -> None:
    """Log what becomes of each message: of those that are given up always, else at DEBUG."""
    if not isinstance(settlement, Failed) and not log.isEnabledFor(logging.DEBUG):
        return
    for message in lease.messages:
        outcome, fields = outcome_of(settlement, message.id), _to_fields(message)
        if isinstance(settlement, Failed) and outcome == "dead":
            account = message.account or None
            log.error("dead", reason=settlement.attempt.reason, account=account, **fields)
        else:
            log.debug(outcome, **fields)


def _to_fields(message: Claimed) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "collection": message.collection,
        "attempt": message.tries + 1,
    }


def log_overrun(messages: int) -> None:
    """Log that so many messages were settled by another process."""
    log.warning("events were no longer ours: lease overrun", events=messages)
