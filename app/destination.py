"""What a destination of messages is, and what its failures mean for them.

Delivery, the outbox and monitoring serve any destination and import none: each of them gets what
it has to know about one (its name, limits, retry policy, labels) from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Limits:
    """How much fits into one batch."""

    most_messages: int
    most_bytes: int
    """Of all payloads of a batch together."""
    largest_message: int
    """Bytes that one payload may have."""


@dataclass(frozen=True)
class RetryPolicy:
    """When a message that failed is tried again, and when it is given up. Times are in seconds."""

    first: float = 5.0
    """The wait after the first failure; it doubles after each further one."""
    longest: float = 3600.0
    """No wait is longer, even if the destination asks for more."""
    give_up_after: float = 72 * 3600.0
    """After receipt."""
    fewest_tries: int = 8
    """A message gets these however old it is: it may have been held for days."""
    spread: float = 0.2
    """Up to this share is added to each wait, so that messages that failed together come apart."""


@dataclass(frozen=True)
class Labels:
    """Words for the operator's pages, checks and alerts."""

    source: str
    """Who sends the messages."""
    destination: str
    account: str
    """What messages belong to, such as "Drip account"."""
    no_key: str
    """Why messages are held, and what to set."""
    check_key: str
    """What to check if a key is refused or nothing is reached."""
    sent_again: str
    """Whether the source sends again what could not be kept."""
    check_source: str
    """What to look at if nothing comes."""


class Destination(Protocol):
    """Where messages go."""

    @property
    def name(self) -> str:
        """In the database and in metrics: it never changes."""

    @property
    def limits(self) -> Limits:
        """Of a batch."""

    @property
    def retry(self) -> RetryPolicy:
        """For messages that failed."""

    @property
    def dedupe_window(self) -> float:
        """Seconds for which the destination drops a message that it has taken before."""

    @property
    def labels(self) -> Labels:
        """What it is called."""

    def key_for(self, account: str) -> str | None:
        """The key to send this account's messages with; None holds them."""

    def send(self, key: str, payloads: Sequence[str]) -> None:
        """Send one batch. Raises a `SendError` of one kind or another."""


class SendError(Exception):
    """The destination did not take a batch.

    `args[0]` is safe to log. `words` is the destination's own answer: it may quote the messages, so
    it is kept with them and never logged.
    """

    def __init__(self, reason: str, words: str = "") -> None:
        super().__init__(reason)
        self.words = words


class RetryableError(SendError):
    """The same batch may be taken later; `asked` is how many seconds later, if that was said."""

    def __init__(self, reason: str, words: str = "", asked: float | None = None) -> None:
        super().__init__(reason, words)
        self.asked = asked


class BatchRejected(SendError):
    """At least one message of the batch is what the destination will never take."""


class InvalidKey(SendError):
    """Nothing is wrong with the messages: a person has to mend the key or the address."""


class Unreachable(SendError):
    """Nothing is wrong with the messages: there is no connection, and a person may have to mend an
    address, a proxy or a certificate."""


class Forbidden(SendError):
    """The key is refused, or something between rejects what one of the messages says. Which of the
    two it is shows if they are sent alone."""
