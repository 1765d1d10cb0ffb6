"""What strangers wrote, as a page may show it. Pure."""

import json
from collections.abc import Callable
from typing import Any

from app.inspector.masking import mask

Show = Callable[[Any], str]

MOST = 64 * 1024
"""Characters of a body on a page; a download has all of it."""

NOT_TEXT = "(Not text that addresses could be hidden in: reveal the addresses to see it.)"


def shower(reveal: bool) -> Show:
    """What turns any text into what a page shows, addresses hidden unless revealed."""

    def show(value: Any) -> str:
        text = "" if value is None else str(value)
        return printable(text if reveal else mask(text))

    return show


def printable(text: str) -> str:
    """The text with each character escaped that would not be seen, or deceive the eye."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def raw_to_text(raw: bytes, reveal: bool) -> str:
    """A body to the byte: bytes that are no text are escaped, as is what is not to be seen."""
    try:
        text = raw.decode(json.detect_encoding(raw))
    except UnicodeDecodeError:
        if b"\0" in raw and not reveal:  # an address may be in it with other bytes in between
            return NOT_TEXT
        text = raw.replace(b"\\", b"\\\\").decode(errors="backslashreplace")
    if "\0" in text and not reveal:
        return NOT_TEXT
    return _shortened(shower(reveal)(text))


def raw_to_pretty(raw: bytes, reveal: bool) -> str:
    """A body as indented JSON; one that is not JSON, to the byte."""
    try:
        return value_to_pretty(json.loads(raw), reveal)
    except (ValueError, RecursionError):
        return raw_to_text(raw, reveal)


def value_to_pretty(value: Any, reveal: bool) -> str:
    """Indented JSON."""
    return _shortened(shower(reveal)(json.dumps(value, indent=2, ensure_ascii=False)))


def error_to_reasons(error: str | None) -> list[tuple[str, str]]:
    """An event's `error` as (field, what is wrong with it); the field is "" where there is none."""
    try:
        fields = json.loads(error or "{}")
        return [(field, " ".join(said)) for field, said in fields.items()]
    except (ValueError, AttributeError, TypeError):
        return [("", error or "")]


def _shortened(text: str) -> str:
    if len(text) <= MOST:
        return text
    return f"{text[:MOST]}\n… ({len(text) - MOST:,} characters more: download it to see them)"
