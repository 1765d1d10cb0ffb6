"""What strangers wrote, as a page may show it. Pure."""

import json
from collections.abc import Callable
from typing import Any

from app.formatting import escape_undecodable, printable
from app.inspector.masking import mask

Show = Callable[[Any], str]

MOST = 64 * 1024
"""Characters of a body on a page; a download has all of it."""

BEHIND = 4 * 1024
"""Characters that are looked through behind that: an address may begin before the end."""

NOT_TEXT = "(Not text that addresses could be hidden in: reveal the addresses to see it.)"


def shower(reveal: bool) -> Show:
    """What turns any text into what a page shows, addresses hidden unless revealed."""

    def show(value: Any) -> str:
        text = "" if value is None else str(value)
        return printable(text if reveal else mask(text), keep="\n")

    return show


def raw_to_text(raw: bytes, reveal: bool) -> str:
    """A body to the byte: bytes that are no text are escaped, as is what is not to be seen."""
    try:
        text = raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        if b"\0" in raw and not reveal:  # an address may be in it with other bytes in between
            return NOT_TEXT
        text = escape_undecodable(raw)
    if "\0" in text and not reveal:
        return NOT_TEXT
    return _beginning(text, reveal)


def raw_to_pretty(raw: bytes, reveal: bool) -> str:
    """A body as indented JSON; one that is not JSON, or much longer than what is shown, to the
    byte."""
    if len(raw) > 2 * MOST:
        return raw_to_text(raw, reveal)
    try:
        return value_to_pretty(json.loads(raw), reveal)
    except (ValueError, RecursionError):
        return raw_to_text(raw, reveal)


def value_to_pretty(value: Any, reveal: bool) -> str:
    """Indented JSON."""
    return _beginning(json.dumps(value, indent=2, ensure_ascii=False), reveal)


def _beginning(text: str, reveal: bool) -> str:
    """What a page shows of a text: to look through all of a long one takes long."""
    if len(text) <= MOST:
        return shower(reveal)(text)
    shown = shower(reveal)(text[: MOST + BEHIND])[:-BEHIND]
    return f"{shown}\n… ({len(text) - MOST:,} characters more: download it to see them)"
