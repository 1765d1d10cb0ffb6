"""Messages for tests."""

from app.outbox.messages import Message
from app.source.translate import translate


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
