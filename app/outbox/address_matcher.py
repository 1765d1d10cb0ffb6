"""Does an address occur in what is kept? Pure.

Found in any spelling that `spellings.py` reads, its domain in letters or in Punycode; in UTF-8, in
UTF-16 and UTF-32 of either byte order, and in Latin-1.
"""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import suppress

from app.outbox.spellings import comparable, readings

WIDE = (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4))


def is_address(text: str) -> bool:
    """Whether it may be looked for: something, one at sign, something."""
    return re.fullmatch(r"[^\s@]+@[^\s@]+", comparable(text)) is not None


class AddressMatcher:
    """Looks for one address, in any case."""

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
            not _begins_before(text, found.start()) and not _goes_on(text, found.end())
            for found in self._pattern.finditer(text)
        )


def _begins_before(text: str, start: int) -> bool:
    """Whether it is the end of another's: hanna@…, anna.ana@…, bo+ana@…, o'hara@…"""
    last = text[start - 1 : start]
    return (
        _is_letter(last)
        or last in {".", "+", "-"}
        or (last == "'" and _is_letter(text[start - 2 : start - 1]))
    )


def _goes_on(text: str, end: int) -> bool:
    """Whether the domain is longer: ….community, ….com.mx, …-shop.com; but it may end a line."""
    hyphens = end
    while text[hyphens : hyphens + 1] == "-":
        hyphens += 1
    dots = end + (text[end : end + 1] == ".")
    return any(_is_letter(text[place : place + 1]) for place in (hyphens, dots))


def _is_letter(sign: str) -> bool:
    """Or a digit, or what is above or below a letter."""
    return sign == "_" or (sign != "" and unicodedata.category(sign)[0] in "LMN")


def _folded(text: str) -> str:
    return comparable(text).casefold()


def _label_to_pattern(label: str) -> str:
    """A part of a domain, in letters and in Punycode."""
    spelt = {label}
    whole = unicodedata.normalize("NFC", label)
    with suppress(UnicodeError):  # it is no Punycode
        if label.startswith("xn--"):
            spelt.add(_folded(label[4:].encode().decode("punycode")))
        elif not label.isascii():
            spelt.add(f"xn--{whole.encode('punycode').decode()}")
    return f"(?:{'|'.join(map(re.escape, sorted(spelt)))})"


def _texts(body: bytes) -> Iterator[str]:
    """The body in each encoding that it may be in."""
    text = body.decode(errors="replace")
    yield text
    if "\ufffd" in text:
        yield body.decode("latin-1")
    if b"\0" in body:  # as in every ASCII letter of the others
        for encoding, width in WIDE:
            for start in range(width):
                yield body[start:].decode(encoding, errors="replace")
