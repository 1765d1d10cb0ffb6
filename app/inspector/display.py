"""Format text that strangers wrote for a page: escaped, shortened, and with addresses masked."""

import json
from collections.abc import Callable
from typing import Any

from app.formatting import escape_undecodable, printable
from app.inspector.masking import mask

Show = Callable[[Any], str]

MOST = 64 * 1024
"""The most characters of a body that a page shows. A download has all of it."""

LOOKAHEAD = 4 * 1024
"""Characters after that which are masked too: an address may begin before the cut."""

NOT_TEXT = "(Not text that addresses could be hidden in: show email addresses to see it.)"


FIRST = ("type", "event", "userId", "anonymousId", "timestamp", "properties", "context")
LAST = ("integrations",)
"""Fields of a call, in the order in which people look for them. The others are in between."""


def ordered(call: Any) -> Any:
    """A call with its fields in the order for people. Any other value as it is."""
    if not isinstance(call, dict):
        return call
    between = [name for name in call if name not in FIRST + LAST]
    return {name: call[name] for name in (*FIRST, *between, *LAST) if name in call}


def text_formatter(reveal: bool) -> Show:
    """Return a function that formats any text for a page, with addresses masked unless `reveal`."""

    def show(value: Any) -> str:
        text = "" if value is None else str(value)
        return printable(text if reveal else mask(text), keep="\n")

    return show


def raw_to_text(raw: bytes, reveal: bool) -> str:
    """Format a body exactly as it came, with undecodable bytes and invisible characters escaped."""
    return _shorten(_decode(raw, reveal), reveal)


def raw_to_pretty(raw: bytes, reveal: bool) -> str:
    """Format a body as indented JSON. If it is not JSON, or is very long, format it as it came."""
    if len(raw) > 2 * MOST:
        return raw_to_text(raw, reveal)
    try:
        return value_to_pretty(json.loads(raw), reveal)
    except (ValueError, RecursionError):
        return raw_to_text(raw, reveal)


def raw_to_file(raw: bytes, reveal: bool) -> bytes:
    """A whole body for a file: byte for byte if `reveal`, else as text with addresses masked."""
    return raw if reveal else mask(_decode(raw, reveal)).encode(errors="replace")


def _decode(raw: bytes, reveal: bool) -> str:
    try:
        text = raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        if b"\0" in raw and not reveal:  # an address may be in it, with NUL bytes in between
            return NOT_TEXT
        text = escape_undecodable(raw)
    return NOT_TEXT if "\0" in text and not reveal else text


def value_to_pretty(value: Any, reveal: bool) -> str:
    """Format a value as indented JSON."""
    return _shorten(json.dumps(value, indent=2, ensure_ascii=False), reveal)


def _shorten(text: str, reveal: bool) -> str:
    """Format the beginning of a text, because masking all of a long one takes long."""
    if len(text) <= MOST:
        return text_formatter(reveal)(text)
    shown = text_formatter(reveal)(text[: MOST + LOOKAHEAD])[:-LOOKAHEAD]
    return f"{shown}\n… ({len(text) - MOST:,} characters more: download it to see them)"
