"""What is kept and sent: messages, leases over them, and what happened to one on its way."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.errors import FieldErrors

NO_ERRORS: FieldErrors = {}


class Message(NamedTuple):
    """A message to keep. Without a payload it goes to quarantine, and `errors` say why."""

    message_id: str
    account: str
    """Of the sender, which decides the key; "" if it named none."""
    payload: str | None
    """What the destination will get, byte for byte."""
    raw: bytes
    """What came."""
    received_at: float
    """Seconds since the epoch."""
    errors: FieldErrors = NO_ERRORS
    collection: str | None = None
    email: str | None = None


class Ignored(NamedTuple):
    """Nothing to keep: an event that the destination has no place for."""

    event: str


class Claimed(NamedTuple):
    """A message that is ours to send until its lease ends."""

    id: int
    message_id: str
    collection: str | None
    received_at: float
    tries: int
    account: str
    payload: str


@dataclass(frozen=True)
class Lease:
    """Messages claimed together: account by account, and of each the one first that has been due
    for longest."""

    token: str
    events: tuple[Claimed, ...]

    @property
    def accounts(self) -> list[str]:
        """Whose messages they are, in their order."""
        return list(dict.fromkeys(event.account for event in self.events))

    @property
    def payload_bytes(self) -> int:
        """The size of all payloads together."""
        return sum(len(event.payload) for event in self.events)

    def only(self, events: Iterable[Claimed]) -> "Lease":
        """The same claim over some of its messages."""
        return replace(self, events=tuple(events))


@dataclass(frozen=True)
class Attempt:
    """A try that failed, or a person who had the message sent again."""

    at: float
    """Seconds since the epoch."""
    reason: str
    words: str = ""
    """The destination's own; they may quote the message."""


def attempt_to_line(attempt: Attempt) -> str:
    """To be added to a message's history, a line of JSON for each attempt."""
    return json.dumps({"at": attempt.at, "reason": attempt.reason, "words": attempt.words}) + "\n"


def read_history(text: str | None) -> list[Attempt]:
    """Oldest first."""
    return [Attempt(**json.loads(line)) for line in (text or "").splitlines()]


def errors_to_text(errors: Mapping[str, object]) -> str:
    """As they are kept beside a quarantined message."""
    return json.dumps(errors)
