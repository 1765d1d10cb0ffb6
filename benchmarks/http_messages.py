"""As much of HTTP/1.1 as the two ends of a benchmark need, at as little cost as possible."""

import re

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def take_message(received: bytearray) -> bytes | None:
    """The first message, once it is whole, taken out of what was received."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    length = _LENGTH.search(received, 0, end)
    whole = end + 4 + (int(length[1]) if length else 0)
    if len(received) < whole:
        return None
    message = bytes(received[:whole])
    del received[:whole]
    return message
