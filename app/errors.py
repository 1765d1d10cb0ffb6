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
