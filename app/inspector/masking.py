"""Addresses in whatever is shown, hidden until somebody asks to see them. Pure.

Rather too much is hidden than too little. A body is a stranger's and may be 1 MiB: each step here
takes time in proportion to the text.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from app.outbox.spellings import Reading, readings

DOTS = "•••"

_BREAK = r"\s\"'<>()\[\]{},;:/?\\"

_EMAN = re.compile(rf'"\\*[^"\n]{{1,64}}"\\*|[^{_BREAK}]+')
"""What stands before the sign, backwards; in quotes it may have anything in it."""

_DOMAIN = re.compile(rf"[^{_BREAK}=&%|#]+")


class _Address(NamedTuple):
    """Where an address stands in a text: the places of its sign, of what is before and behind."""

    sign: int
    sign_end: int
    start: int
    end: int


def mask(text: str) -> str:
    """The text with each address as `a•••@e•••.com`, in any spelling that `spellings.py` reads."""
    shown, last = "", _Address(0, 0, 0, 0)
    addresses = _merged(sorted(place for one in readings(text) for place in _addresses(one)))
    for address in addresses:
        shown += _hide(text[last.sign_end : address.sign], last, address)
        shown += text[address.sign : address.sign_end]
        last = address
    return shown + _hide(text[last.sign_end :], last, _Address(len(text), 0, len(text), 0))


def mask_all(value: Any) -> Any:
    """The same in every text and name within a JSON value."""
    match value:
        case str():
            return mask(value)
        case dict():
            return {mask(name): mask_all(below) for name, below in value.items()}
        case list():
            return [mask_all(below) for below in value]
        case _:
            return value


def _addresses(reading: Reading) -> Iterator[_Address]:
    pieces = reading.text.split("@")
    names = [_length(_EMAN, piece[::-1]) for piece in pieces[:-1]]
    domains = [_length(_DOMAIN, piece) for piece in pieces[1:]]
    sign = -1
    for piece, name, domain in zip(pieces, names, domains, strict=False):
        sign += len(piece) + 1
        if name and domain:
            start, _ = reading.origin(sign - name, sign)
            _, end = reading.origin(sign + 1, sign + 1 + domain)
            yield _Address(*reading.origin(sign, sign + 1), start, end)


def _merged(found: Sequence[_Address]) -> Iterator[_Address]:
    """One for each sign, as far as any reading says that it goes."""
    for _, same in groupby(found, key=lambda address: address.sign):
        ends = tuple(zip(*same, strict=True))
        yield _Address(ends[0][0], max(ends[1]), min(ends[2]), max(ends[3]))


def _length(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _hide(between: str, last: _Address, following: _Address) -> str:
    """What stands between two signs, without the first one's domain and the second one's name."""
    domain = min(max(last.end - last.sign_end, 0), len(between))
    rest = max(len(between) - max(following.sign - following.start, 0), domain)
    before = _hide_domain(between[:domain]) if domain else ""
    return (
        before + between[domain:rest] + (_hide_name(between[rest:]) if rest < len(between) else "")
    )


def _hide_domain(domain: str) -> str:
    host, dot, end = domain.rstrip(".").rpartition(".")
    return f"{(host or end)[:1]}{DOTS}{dot and dot + end}"


def _hide_name(name: str) -> str:
    bare = name.lstrip('\\"')
    return f"{bare[:1]}{DOTS}"
