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
    messages: tuple[Claimed, ...]

    @property
    def accounts(self) -> list[str]:
        """Whose messages they are, in their order."""
        return list(dict.fromkeys(message.account for message in self.messages))

    @property
    def payload_bytes(self) -> int:
        """The size of all payloads together."""
        return sum(len(message.payload) for message in self.messages)

    def only(self, messages: Iterable[Claimed]) -> "Lease":
        """The same claim over some of its messages."""
        return replace(self, messages=tuple(messages))


@dataclass(frozen=True)
class Attempt:
    """A try that failed, or a person who had the message sent again."""

    at: float
    """Seconds since the epoch."""
    reason: str
    words: str = ""
    """The destination's own; they may quote the message."""


@dataclass(frozen=True)
class Sent:
    """The destination took them."""

    at: float

    def outcome(self, message_id: int) -> str:  # noqa: ARG002 - the same for all
        """What becomes of one message of the lease."""
        return "sent"


@dataclass(frozen=True)
class Failed:
    """They were tried in vain: those in `due` are tried again then, the others are dead."""

    attempt: Attempt
    due: Mapping[int, float]

    def outcome(self, message_id: int) -> str:
        """What becomes of one message of the lease."""
        return "later" if message_id in self.due else "dead"


@dataclass(frozen=True)
class Released:
    """They go back untried; `why` is kept with them."""

    due: float
    why: str = ""

    def outcome(self, message_id: int) -> str:  # noqa: ARG002 - the same for all
        """What becomes of one message of the lease."""
        return "released"


Settlement = Sent | Failed | Released
"""What becomes of the messages of a lease."""


def attempt_to_line(attempt: Attempt) -> str:
    """To be added to a message's history, a line of JSON for each attempt."""
    return json.dumps({"at": attempt.at, "reason": attempt.reason, "words": attempt.words}) + "\n"


def read_history(text: str | None) -> list[Attempt]:
    """Oldest first."""
    return [Attempt(**json.loads(line)) for line in (text or "").splitlines()]


def errors_to_text(errors: Mapping[str, object]) -> str:
    """As they are kept beside a quarantined message."""
    return json.dumps(errors)
