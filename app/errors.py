"""The bridge's own exceptions.

Their messages may be logged and sent in answers, so none contains an email address, a token, a
write key or a body.
"""

from collections.abc import Mapping, Sequence

FieldErrors = Mapping[str, Sequence[str]]
"""Dotted path of a field in Drip's JSON, such as "data.subscriber" → what is wrong with it."""


class ConfigError(Exception):
    """The bridge cannot start. The message says why, and what to do."""


class UnsupportedEvent(Exception):
    """Drip's event has no Segment collection, so it is neither kept nor sent."""

    def __init__(self, event: str) -> None:
        super().__init__("not an email event")
        self.event = event


class InvalidPayload(Exception):
    """The body cannot become a correct track call, so it is kept in quarantine as it came."""

    def __init__(self, errors: FieldErrors) -> None:
        super().__init__("not readable as an email event")
        self.errors = errors


class OutboxUnavailable(Exception):
    """The event could not be kept. The sender has to send it again."""


class ContentRejected(OutboxUnavailable):
    """The database will never accept this event, whereas it may accept others of the same batch."""


class AlertNotDelivered(Exception):
    """The alert webhook did not accept an alert. `is_silent` means that it did not answer."""

    def __init__(self, reason: str, is_silent: bool = False) -> None:
        super().__init__(reason)
        self.is_silent = is_silent
