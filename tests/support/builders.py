"""Messages for tests."""

from app.drip_to_segment.translate import translate
from app.outbox.messages import Message


def translated(body: bytes, received_at: float = 0.0) -> Message:
    """The message that a webhook's body becomes, for bodies that become one."""
    message = translate(body, received_at)
    assert isinstance(message, Message)
    return message


def payload_of(body: bytes, received_at: float = 0.0) -> str:
    """The track call that a webhook's body becomes."""
    payload = translated(body, received_at).payload
    assert payload is not None
    return payload
