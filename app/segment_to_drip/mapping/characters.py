"""Replace what is no character, before a call is read. Pure.

JSON may hold half of a pair of code units, and NUL. Neither can be in a database's text. One such
item would have Drip refuse a whole batch of 1,000.
"""

import re

REPLACED = "Half characters were replaced, and NULs removed."

_ESCAPES = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a whole pair
    rb"|u[dD][89a-fA-F][0-9a-fA-F]{2}|u0000|.)"
    rb"|\xed[\xa0-\xbf][\x80-\xbf]",  # half a pair in UTF-8, which is none
    re.DOTALL,
)
"""All escapes, so that in `\\\\u0000` the second backslash begins none."""


def of_characters(body: bytes) -> bytes:
    """A body in UTF-8 with each half of a pair replaced by U+FFFD, and without NUL. The same object
    if there is nothing to replace."""
    if rb"\u0000" in body or rb"\ud" in body or rb"\uD" in body or b"\xed" in body:
        replaced = _ESCAPES.sub(_as_character, body)
        return body if replaced == body else replaced
    return body


def _as_character(escape: re.Match[bytes]) -> bytes:
    found = escape[0]
    if found == rb"\u0000":
        return b""
    is_half = len(found) == 6 and found[2] in b"dD"
    return rb"\ufffd" if is_half or found[0] == 0xED else found
