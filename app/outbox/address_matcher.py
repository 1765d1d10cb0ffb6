"""Find an email address in texts and bodies, however it is spelt. Pure.

It is found in every spelling that `spellings.py` reads, with its domain in letters or in Punycode,
and in UTF-8, Latin-1, and UTF-16 and UTF-32 of either byte order.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from app.outbox.spellings import comparable, readings

WIDE = (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4))
"""Encodings whose letters have several bytes each, and how many."""


def is_address(text: str) -> bool:
    """Whether a text looks like an address: something, one at sign, something."""
    return re.fullmatch(r"[^\s@]+@[^\s@]+", comparable(text)) is not None


class AddressMatcher:
    """Find one address, in upper or lower case."""

    def __init__(self, address: str) -> None:
        local, _, domain = _folded(address).rpartition("@")
        name = re.escape(local.strip('"'))
        labels = map(_label_to_pattern, domain.split("."))
        self._pattern = re.compile(rf"(?:\"{name}\"|{name})@{r'[.]'.join(labels)}")

    def is_in(self, kept: str | bytes | None) -> bool:
        """Whether the address occurs in a text or a body."""
        if isinstance(kept, bytes):
            return any(self._is_in_text(text) for text in _texts(kept))
        return kept is not None and self._is_in_text(kept)

    def _is_in_text(self, text: str) -> bool:
        return any(self._is_in_reading(reading.text.casefold()) for reading in readings(text))

    def _is_in_reading(self, text: str) -> bool:
        return any(
            not _begins_before(text, match.start()) and not _goes_on(text, match.end())
            for match in self._pattern.finditer(text)
        )


def _begins_before(text: str, start: int) -> bool:
    """Whether the match is the end of a longer name: hanna@…, anna.ana@…, bo+ana@…, o'hara@…"""
    last = text[start - 1 : start]
    return (
        _is_letter(last)
        or last in {".", "+", "-"}
        or (last == "'" and _is_letter(text[start - 2 : start - 1]))
    )


def _goes_on(text: str, end: int) -> bool:
    """Whether the domain is longer than the match: ….community, ….com.mx, …-shop.com. A dot or
    hyphen that ends a sentence does not count."""
    hyphens = end
    while text[hyphens : hyphens + 1] == "-":
        hyphens += 1
    dots = end + (text[end : end + 1] == ".")
    return any(_is_letter(text[place : place + 1]) for place in (hyphens, dots))


def _is_letter(sign: str) -> bool:
    """Whether it is a letter, a digit, an underscore, or a mark above or below a letter."""
    return sign == "_" or (sign != "" and unicodedata.category(sign)[0] in "LMN")


def _folded(text: str) -> str:
    return comparable(text).casefold()


def _label_to_pattern(label: str) -> str:
    """A pattern for one part of a domain, in letters and in Punycode."""
    spellings = {label}
    composed = unicodedata.normalize("NFC", label)
    with suppress(UnicodeError):  # not valid Punycode
        if label.startswith("xn--"):
            spellings.add(_folded(label[4:].encode().decode("punycode")))
        elif not label.isascii():
            spellings.add(f"xn--{composed.encode('punycode').decode()}")
    return f"(?:{'|'.join(map(re.escape, sorted(spellings)))})"


def _texts(body: bytes) -> Iterator[str]:
    """The body, decoded from each encoding that it may be in."""
    text = body.decode(errors="replace")
    yield text
    if "\ufffd" in text:
        yield body.decode("latin-1")
    if b"\0" in body:  # each ASCII letter has one in UTF-16 and UTF-32
        for encoding, width in WIDE:
            for start in range(width):
                yield body[start:].decode(encoding, errors="replace")
