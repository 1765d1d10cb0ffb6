"""The values of the outbox: messages, leases over them, settlements and failed attempts."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from app.errors import FieldErrors

NO_ERRORS: FieldErrors = {}


class Message(NamedTuple):
    """A message to keep. Without a payload it goes to quarantine, and `errors` has the reasons."""

    message_id: str
    account: str
    """The source's account, which decides the key; "" if it named none."""
    payload: str | None
    """What the destination gets, byte for byte."""
    raw: bytes
    """The body that came, byte for byte."""
    received_at: float
    """Seconds since the epoch."""
    errors: FieldErrors = NO_ERRORS
    collection: str | None = None
    email: str | None = None
    person: str | None = None
    """Whose message it is, if the destination wants each person's messages in order (`tables.py`);
    "" if that is not known yet."""
    ahead: tuple["Message", ...] = ()
    """Further messages that are kept with this one, right before it."""
    follow_ups: tuple["Message", ...] = ()
    """Further messages that are kept with this one, right behind it."""

    @property
    def together(self) -> tuple["Message", ...]:
        """All that is kept with this one, in its order."""
        return (*self.ahead, self, *self.follow_ups)


class Ignored(NamedTuple):
    """Nothing to keep, because the destination has no place for such an event."""

    event: str
    """Its name, or its type."""
    reason: str = ""
    """Why it has no place, if the name does not say it."""


class Claimed(NamedTuple):
    """A message that this process may send until its lease ends."""

    id: int
    message_id: str
    collection: str | None
    received_at: float
    tries: int
    account: str
    payload: str
    person: str | None = None
    """As `events.person` has it."""
    email: str | None = None
    """The person's address in small letters, if it is known."""


@dataclass(frozen=True)
class Lease:
    """Messages claimed together, account by account; of each account the longest due first."""

    token: str
    messages: tuple[Claimed, ...]

    @property
    def accounts(self) -> list[str]:
        """The accounts of the messages, each once, in their order."""
        return list(dict.fromkeys(message.account for message in self.messages))

    @property
    def payload_bytes(self) -> int:
        """The size of all payloads together. They are ASCII: one byte a character."""
        return sum(len(message.payload) for message in self.messages)

    def only(self, messages: Iterable[Claimed]) -> "Lease":
        """The same lease for some of its messages."""
        return replace(self, messages=tuple(messages))


@dataclass(frozen=True)
class Attempt:
    """A line of a message's history: a try that failed, or an operator's retry."""

    at: float
    """Seconds since the epoch."""
    reason: str
    words: str = ""
    """The destination's answer. It may quote the message, so it is never logged."""


@dataclass(frozen=True)
class Sent:
    """The destination took the messages."""

    at: float
    note: str = ""
    """What the destination did not apply of them. It is added to their history."""


@dataclass(frozen=True)
class Failed:
    """The destination did not take the messages. Those in `due` (id → time) are tried again at that
    time, the others are dead."""

    attempt: Attempt
    due: Mapping[int, float]


@dataclass(frozen=True)
class Released:
    """The messages go back without using up a try, due at `due`. `why` is kept with them."""

    due: float
    why: str = ""


Settlement = Sent | Failed | Released
"""What becomes of the messages of a lease."""


def outcome_of(settlement: Settlement, id_: int) -> str:
    """What becomes of one message of the lease: sent, released, later or dead."""
    match settlement:
        case Sent():
            return "sent"
        case Released():
            return "released"
        case Failed():
            return "later" if id_ in settlement.due else "dead"


def attempt_to_line(attempt: Attempt) -> str:
    """The line of JSON that is appended to a message's history."""
    return json.dumps({"at": attempt.at, "reason": attempt.reason, "words": attempt.words}) + "\n"


def read_history(text: str | None) -> list[Attempt]:
    """The attempts in a message's history, oldest first."""
    return [Attempt(**json.loads(line)) for line in (text or "").splitlines()]


def errors_to_text(errors: Mapping[str, object]) -> str:
    """The errors of a quarantined message as JSON, as the table has them."""
    return json.dumps(errors)
