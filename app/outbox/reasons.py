"""Put the reason of a failure into a form that messages with the same trouble share. Pure.

A destination's answer may quote the message: an address, an id, a number. Without those, a thousand
messages that fail for one cause have one reason, and the reason shows nobody's data.
"""

import re
from collections.abc import Mapping, Sequence

from app.database.sql import storable

MOST = 120
"""Characters of a reason. It is part of an index."""

_VARIABLE = (
    (re.compile(r"(?<!\S)\S+@\S+"), "…"),
    # what an answer quotes is mostly the message's own; names of fields are short words
    (re.compile(r"\"(?![\w.-]{1,40}\")[^\"]*\"|'(?![\w.-]{1,40}')[^']*'|“[^”]*”"), "…"),
    (re.compile(r"\b(?=\w*\d)\w{6,}\b"), "…"),
    (re.compile(r"\d+"), "#"),
    (re.compile(r"\s+"), " "),
)


def short(reason: str) -> str:
    """What happened, without what to check: "HTTP 401" of "HTTP 401: check SEGMENT_WRITE_KEY"."""
    return reason.partition(": ")[0].partition(". ")[0]


def of_failure(reason: str, words: str) -> str:
    """The reason of a message that a destination did not take. `words` is its answer."""
    happened = short(reason)
    said = _common(re.sub(r"^\d{3}: ", "", words))
    return _cut(": ".join(filter(None, (happened, said))))


def of_release(why: str) -> str:
    """The reason of a message that waits although it was not tried, or was not at fault."""
    return _cut(short(why))


def of_errors(errors: Mapping[str, Sequence[str]]) -> str:
    """The reason of a body that could not be read: its first error."""
    for field, reasons in errors.items():
        return _cut(": ".join(filter(None, (_common(field), _common(" ".join(reasons))))))
    return ""


def _common(text: str) -> str:
    """The text without what differs from message to message."""
    for pattern, instead in _VARIABLE:
        text = pattern.sub(instead, text)
    return text.strip()


def _cut(text: str) -> str:
    text = storable(text)
    return text if len(text) <= MOST else f"{text[: MOST - 1]}…"
