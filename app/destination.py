"""The protocol of a destination, and the errors by which it reports that it took no batch.

Delivery, outbox and monitoring work for any destination and import none. All that they need (its
name, limits, retry policy, labels) is in this protocol.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True)
class Limits:
    """How large a batch may be."""

    most_messages: int
    most_bytes: int
    """Bytes of all payloads of a batch together."""
    largest_message: int
    """Bytes of one payload."""
    longest_wait: float = 300.0
    """Seconds that a message may wait before it counts as trouble."""


@dataclass(frozen=True)
class RetryPolicy:
    """When a failed message is tried again, and when it is given up. Times are in seconds."""

    first: float = 5.0
    """The wait after the first failure; it doubles after each further one."""
    longest: float = 3600.0
    """The longest wait, even if the destination asks for more."""
    give_up_after: float = 72 * 3600.0
    """How long after its receipt a message is given up."""
    fewest_tries: int = 8
    """A message gets at least so many tries, however old it is: it may have been held for days."""
    spread: float = 0.2
    """Up to this share is added to each wait at random, so that messages that failed together are
    not tried again together."""


@dataclass(frozen=True)
class Labels:
    """Words for the operator's pages, checks and alerts."""

    source: str
    """Who sends messages to the bridge."""
    destination: str
    """Where the bridge sends them."""
    account: str
    """What an account is called, such as "Drip account"."""
    key: str
    """What a key is called."""
    set_key: str
    """What to set if an account has none."""
    delivered: str
    """What is known, and what is not, once the destination has taken a message."""
    check_key: str
    """What to check if a key is refused or nothing is reached."""
    sent_again: str
    """A sentence on whether the source sends again what could not be kept."""
    check_source: str
    """What to check if no message comes."""
    not_kept: str = "429"
    """How a webhook is answered that cannot be kept."""


class Destination(Protocol):
    """Where messages are sent to."""

    @property
    def name(self) -> str:
        """The name in the database and in metrics. It never changes."""

    @property
    def limits(self) -> Limits:
        """How large a batch may be."""

    @property
    def retry(self) -> RetryPolicy:
        """When failed messages are tried again."""

    @property
    def dedupe_window(self) -> float:
        """Seconds for which the destination drops a message that it has taken before."""

    @property
    def labels(self) -> Labels:
        """Its words for the operator's pages."""

    def key_for(self, account: str) -> str | None:
        """The key to send this account's messages with. None holds them until one is set."""

    def send(self, key: str, payloads: Sequence[str]) -> str:
        """Send one batch. On return the destination has taken it; otherwise raises a
        `SendError`. Returns a note to keep with the messages, such as which field it did not
        take, or ""."""


class SendError(Exception):
    """The destination did not take a batch.

    `args[0]` is safe to log: what happened, and after a colon what to check. `words` is the
    destination's answer. It may quote the messages, so it is kept with them and never logged.
    """

    status: int | None = None
    """The HTTP status of the answer, if there was one."""

    def __init__(self, reason: str, words: str = "") -> None:
        super().__init__(reason)
        self.words = words

    def with_status(self, status: int) -> Self:
        """The same error, with the status of the answer that it is about."""
        self.status = status
        return self


class RetryableError(SendError):
    """The same batch may be taken later: `asked` seconds later, if the destination asked for
    that."""

    def __init__(self, reason: str, words: str = "", asked: float | None = None) -> None:
        super().__init__(reason, words)
        self.asked = asked


class RateLimited(SendError):
    """Nothing is wrong with the messages or the key: a limit of the destination is reached. The
    messages wait for `wait` seconds, without using up a try."""

    def __init__(self, reason: str, wait: float, words: str = "") -> None:
        super().__init__(reason, words)
        self.wait = wait


class BatchRejected(SendError):
    """The destination will never take at least one message of the batch."""


class InvalidKey(SendError):
    """Nothing is wrong with the messages: an operator has to correct the key or the address."""


class Unreachable(SendError):
    """Nothing is wrong with the messages: there is no connection, and an operator may have to
    correct an address, a proxy or a certificate."""


class Forbidden(SendError):
    """Either the key is refused, or a firewall rejects the content of one message. Sending messages
    alone shows which of the two it is."""
