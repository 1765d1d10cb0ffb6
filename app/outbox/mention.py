"""Does an address occur in what is kept? Pure.

Found as it stands, escaped as JSON or a URL does it, and escaped so several times over; in UTF-8,
and in UTF-16 and UTF-32 of either byte order. Not found where it was compressed or encrypted.
"""

import re
from collections.abc import Iterator
from urllib.parse import unquote

DEEPEST = 4
"""How many escapings of an address, one in another, are taken off: a link in a link in JSON."""

WIDE = (("utf-16-le", 2), ("utf-16-be", 2), ("utf-32-le", 4), ("utf-32-be", 4))

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)

_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class Mention:
    """Looks for one address, in any case."""

    def __init__(self, address: str) -> None:
        self._pattern = re.compile(
            # what goes on before it is another's: hanna@…, anna.ana@…, bo+ana@…, o'hara@…
            r"(?<![\w.+-])(?<!\w')"
            + re.escape(_folded(address))
            # and behind it: ….community, ….com.mx, …-shop.com; but it may end a sentence
            + r"(?!\w|-+\w|\.\w)"
        )

    def is_in(self, kept: str | bytes | None) -> bool:
        """Whether the address occurs in a text or a body."""
        if isinstance(kept, bytes):
            return any(self._is_in_text(text) for text in _texts(kept))
        return kept is not None and self._is_in_text(kept)

    def _is_in_text(self, text: str) -> bool:
        return any(self._pattern.search(_folded(reading)) for reading in _readings(text))


def _folded(text: str) -> str:
    return text.casefold()


def _texts(body: bytes) -> Iterator[str]:
    """The body in each encoding that it may be in."""
    yield body.decode(errors="replace")
    if b"\0" in body:  # as in every ASCII letter of the others
        for encoding, width in WIDE:
            for start in range(width):
                yield body[start:].decode(encoding, errors="replace")


def _readings(text: str) -> Iterator[str]:
    """The text, and what it says without its escapes."""
    yield text
    for _ in range(DEEPEST):
        before = text
        if "\\" in text:
            text = _ESCAPE.sub(_unescaped, text)
            # a sign beyond the first 65,536 is escaped as two
            text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
            yield text
        if "%" in text:
            text = unquote(text)
            yield text
        if text == before:
            return


def _unescaped(found: re.Match[str]) -> str:
    number, letter = found.groups()
    return chr(int(number, 16)) if number else _CONTROL.get(letter, letter)
