"""What can go wrong, and what it means for whoever has to act.

Messages here may be logged and answered: none carries an email, a token, a write key or a body.
"""

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]
"""Dotted path of a field in Drip's JSON ("data.subscriber") → what is wrong with it."""


class ConfigError(Exception):
    """The bridge refuses to start; the message says why and what to do."""


class UnsupportedEvent(Exception):
    """Drip's event has no Segment collection: nothing to keep, nothing to send."""

    def __init__(self, event: str) -> None:
        super().__init__("not an email event")
        self.event = event


class InvalidPayload(Exception):
    """The body cannot become a correct track call; it is kept in quarantine as it came."""

    def __init__(self, errors: FieldErrors) -> None:
        super().__init__("not readable as an email event")
        self.errors = errors


class OutboxUnavailable(Exception):
    """Nothing was kept; the sender has to send again."""


class ContentRejected(OutboxUnavailable):
    """The database will never take this event as it is; its neighbours it may."""


class AlertNotDelivered(Exception):
    """The alert webhook did not take an alert; `is_silent` if it did not even answer."""

    def __init__(self, reason: str, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent


class SendError(Exception):
    """The destination did not take a batch.

    `args[0]` is safe to log. `words` is what the destination itself said: it may quote the events,
    so it is kept with them and never logged.
    """

    def __init__(self, reason: str, words: str = "") -> None:
        super().__init__(reason)
        self.words = words


class RetryableError(SendError):
    """The same batch may well be taken later; `asked` is how many seconds later, if it was said."""

    def __init__(self, reason: str, words: str = "", asked: float | None = None) -> None:
        super().__init__(reason, words)
        self.asked = asked


class BatchRejected(SendError):
    """At least one event of the batch is what the destination will never take."""


class InvalidKey(SendError):
    """Nothing is wrong with the events: the key or the address is, and a person has to mend it."""


class Unreachable(SendError):
    """Nothing is wrong with the events: no connection comes about, and a person may have to mend an
    address, a proxy or a certificate."""


class Forbidden(SendError):
    """The key is refused, or something on the way minds what one of the events says: which of both
    shows when they are sent alone."""
