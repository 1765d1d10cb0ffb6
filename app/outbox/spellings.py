"""Decode a text in every way that it may be escaped, and map places back to the original. Pure.

Pages hide addresses, and erasure finds them, by these readings alone: what one of them recognises,
the other does too. The escapes of JSON, JavaScript, URLs, HTML and quoted-printable mail are
decoded, also one within another, and letters are brought to one form and case. What was compressed,
encrypted or written in base64 is not read.
"""

import html
import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache

DEEPEST = 6
"""How many layers of escapes are decoded, as those of a link within a link within JSON."""

_HEX = "[0-9a-fA-F]"

_BACKSLASH = (
    rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}"  # a letter beyond the first 65,536
    rf"|\\u{_HEX}{{4}}|\\u\{{{_HEX}{{1,6}}\}}|\\U{_HEX}{{8}}|\\U{_HEX}{{4}}|\\x{_HEX}{{2}}|\\."
)
_ENTITY = r"&(?:#[0-9]{1,8};?|#[xX][0-9a-fA-F]{1,8};?|[A-Za-z][A-Za-z0-9]{1,31};)"


def _bytes(sign: str) -> str:
    """A pattern for a letter in UTF-8, each byte as two digits after the sign, or any one byte."""
    more = rf"{sign}[89abAB]{_HEX}"
    return (
        rf"{sign}[cCdD]{_HEX}{more}|{sign}[eE]{_HEX}(?:{more}){{2}}"
        rf"|{sign}[fF][0-7](?:{more}){{3}}|{sign}{_HEX}{{2}}"
    )


_AGAIN = "%(?:25){0,8}"
"""A percent sign, which may itself be escaped several times."""

_ESCAPED = rf"{_BACKSLASH}|%u{_HEX}{{4}}|{_bytes(_AGAIN)}|{_ENTITY}"
_PLAIN = re.compile(_ESCAPED, re.DOTALL)
_IN_MAIL = re.compile(rf"{_ESCAPED}|=\r?\n|{_bytes('=')}", re.DOTALL)

_MAIL = re.compile(rf"={_HEX}{{2}}|=\r?\n")

_BLANK = re.compile(r"\+(?=[^\s\"'<>+@&=]*%(?:25)*40)")
"""A form that escapes an at sign as "%40" writes a blank as "+"."""

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)

_STOPS = {"\u3002": ".", "\uff61": "."}
"""Full stops that an internationalised domain may have, beside those that are forms of a dot."""


class Reading:
    """A text, original or decoded, that can map places back to the original."""

    def __init__(self, text: str, before: "Reading | None" = None) -> None:
        self.text = text
        self._before = before
        if before is None:
            return
        # where each decoded piece begins and ends here, and where it began and ended before
        self._starts, self._ends = array("I"), array("I")
        self._old_starts, self._old_ends = array("I"), array("I")

    def written(self, pattern: re.Pattern[str], write: Callable[[str], str]) -> "Reading":
        """A further reading, with each match of the pattern replaced by what `write` returns."""
        if not pattern.search(self.text):
            return self
        after = Reading("", self)
        pieces: list[str] = []
        last = length = 0
        for match in pattern.finditer(self.text):
            start, end = match.span()
            new = write(match[0])
            length += start - last
            after._starts.append(length)
            length += len(new)
            after._ends.append(length)
            after._old_starts.append(start)
            after._old_ends.append(end)
            pieces += (self.text[last:start], new)
            last = end
        after.text = "".join(pieces) + self.text[last:]
        return after

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original the text from `start` to `end` of this reading is."""
        if self._before is None:
            return start, end
        return self._before.origin(self._old(start, is_end=False), self._old(end, is_end=True))

    def _old(self, place: int, is_end: bool) -> int:
        nearest = bisect_right(self._starts, place - is_end) - 1
        if nearest < 0:
            return place
        if place - is_end < self._ends[nearest]:  # within a decoded piece: all of it
            return (self._old_ends if is_end else self._old_starts)[nearest]
        return self._old_ends[nearest] + place - self._ends[nearest]


def readings(text: str) -> Iterator[Reading]:
    """The text, and the text with its escapes decoded in each way, in comparable letters."""
    whole = Reading(text)
    yield _comparable(whole)
    is_mail = bool(_MAIL.search(text))
    for reading in _unescaped(whole, _PLAIN):
        is_mail = is_mail or bool(_MAIL.search(reading.text))
        yield _comparable(reading)
    if is_mail:
        yield from map(_comparable, _unescaped(whole, _IN_MAIL))
    spaced = whole.written(_BLANK, lambda _: " ")
    if spaced is not whole:
        yield from map(_comparable, _unescaped(spaced, _PLAIN))


def comparable(text: str) -> str:
    """The text with each letter in one form. The case is folded in some letters only, so callers
    fold it."""
    return _NOT_ASCII.sub(lambda match: _letter(match[0]), text)


def _comparable(reading: Reading) -> Reading:
    return reading if reading.text.isascii() else reading.written(_NOT_ASCII, _letter)


def _unescaped(reading: Reading, escape: re.Pattern[str]) -> Iterator[Reading]:
    for _ in range(DEEPEST):
        before, reading = reading, reading.written(escape, _read_escape)
        if reading is before:
            return
        yield reading


@lru_cache(4096)
def _letter(letter: str) -> str:
    if _INVISIBLE.match(letter):
        return ""
    apart = unicodedata.normalize("NFKD", _STOPS.get(letter, letter))
    return unicodedata.normalize("NFKD", apart.casefold())


_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@lru_cache(4096)
def _read_escape(written: str) -> str:
    """The letter that one escape stands for."""
    sign, rest = written[0], written[1:]
    if sign == "&":
        return html.unescape(written)
    if sign == "\\":
        return _read_backslash(rest)
    if rest[0] == "u":  # %u0040
        return chr(int(rest[1:], 16))
    if rest[-1] == "\n":  # the end of a line of mail
        return ""
    raw = bytes.fromhex(re.sub(rf"[%=](?:25)*(?={_HEX}{{2}})", "", written))
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _read_backslash(rest: str) -> str:
    numbers = [int(digits, 16) for digits in re.findall(rf"{_HEX}+", rest[1:])]
    if not numbers:
        return _CONTROL.get(rest, rest)
    if len(numbers) == 1:
        return chr(min(numbers[0], 0x10FFFF))
    pair = b"".join(number.to_bytes(2, "big") for number in numbers)
    return pair.decode("utf-16-be")
