"""Translate the body of a Drip webhook into a message to keep. Pure."""

from hashlib import sha256

from app.drip_to_segment.schema import body_to_event
from app.drip_to_segment.track import event_to_message
from app.errors import FieldErrors, InvalidPayload, UnsupportedEvent
from app.logs import error_location, get_logger
from app.outbox.messages import Ignored, Message

log = get_logger(__name__)


def translate(body: bytes, received_at: float, account: str = "") -> Message | Ignored:
    """The message for a body, or `Ignored` for an event without a collection. Never raises.

    `received_at` is in seconds since the epoch. A body that cannot become a correct track call
    becomes a quarantined message, with its errors field by field. If `account` is not "", so does
    an event of any other Drip account.
    """
    try:
        return _translate(body, received_at, account)
    except UnsupportedEvent as error:
        return Ignored(error.event)
    except InvalidPayload as error:
        return _quarantined(body, received_at, account, error.errors)
    except Exception as error:  # noqa: BLE001 - a bug must not lose an event
        log.error("fault of the bridge, event set aside", reason=error_location(error))  # noqa: TRY400
        errors = {"body": ["A fault of the bridge; see its log."]}
        return _quarantined(body, received_at, account, errors)


def _translate(body: bytes, received_at: float, account: str) -> Message:
    event = body_to_event(body)
    if account and event.account_id != account:
        raise InvalidPayload({"data.account_id": ["Not the account that the token is for."]})
    return event_to_message(event, body, received_at)


def quarantine(message: Message, errors: FieldErrors) -> Message:
    """The same message as one for quarantine, with these errors."""
    return _quarantined(message.raw, message.received_at, message.account, errors)


def _quarantined(body: bytes, received_at: float, account: str, errors: FieldErrors) -> Message:
    return Message(
        message_id=f"raw-{sha256(body).hexdigest()}",
        account=account,
        payload=None,
        raw=body,
        received_at=received_at,
        errors=errors,
    )
