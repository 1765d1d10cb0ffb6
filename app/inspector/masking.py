"""Mask email addresses in text that is shown, until a user asks to reveal them.

In doubt it masks too much. A body comes from strangers and may have 1 MiB, so each step here takes
linear time.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from app.outbox.spellings import Reading, readings

DOTS = "•••"

_BREAK = r"\s\"'<>()\[\]{},;:/?\\"

_NAME_REVERSED = re.compile(rf'"\\*[^"\n]{{1,64}}"\\*|[^{_BREAK}]+')
"""The part before the "@", reversed. In quotes it may contain anything."""

_DOMAIN = re.compile(rf"[^{_BREAK}=&%|#]+")


class _Address(NamedTuple):
    """Where an address is in a text: the position of its "@", its start and its end."""

    sign: int
    sign_end: int
    start: int
    end: int


def mask(text: str) -> str:
    """Replace each address with `a•••@e•••.com`, in any encoding that `spellings.py` decodes."""
    shown, last = "", _Address(0, 0, 0, 0)
    found = _merge(sorted(place for one in readings(text) for place in _addresses(one)))
    for address in (_without_parameters(text, each) for each in found):
        shown += _mask_between(text[last.sign_end : address.sign], last, address)
        shown += text[address.sign : address.sign_end]
        last = address
    return shown + _mask_between(text[last.sign_end :], last, _Address(len(text), 0, len(text), 0))


def mask_all(value: Any) -> Any:
    """Mask addresses in every string and name within a JSON value."""
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
    names = [_match_length(_NAME_REVERSED, piece[::-1]) for piece in pieces[:-1]]
    domains = [_match_length(_DOMAIN, piece) for piece in pieces[1:]]
    sign = -1
    for piece, name, domain in zip(pieces, names, domains, strict=False):
        sign += len(piece) + 1
        if name and domain:
            start, _ = reading.origin(sign - name, sign)
            _, end = reading.origin(sign + 1, sign + 1 + domain)
            yield _Address(*reading.origin(sign, sign + 1), start, end)


def _merge(addresses: Sequence[_Address]) -> Iterator[_Address]:
    """Merge addresses with the same "@" into the longest that any reading gives."""
    for _, same in groupby(addresses, key=lambda address: address.sign):
        ends = tuple(zip(*same, strict=True))
        yield _Address(ends[0][0], max(ends[1]), min(ends[2]), max(ends[3]))


def _without_parameters(text: str, address: _Address) -> _Address:
    """Leave a link's parameters before that of the address out of it, and the parameter's name.

    Only those written as such: an escaped "&" or "=" may belong to the address.
    """
    sign, start = address.sign, address.start
    if text[start - 1 : start] != "?":
        return address
    value = text.rfind("&", start, sign) + 1 or start
    value = text.find("=", value, sign) + 1 or value
    return address._replace(start=value) if value < sign else address


def _match_length(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _mask_between(between: str, last: _Address, following: _Address) -> str:
    """Mask the text between two "@": the domain of the first and the name of the second."""
    domain = min(max(last.end - last.sign_end, 0), len(between))
    rest = max(len(between) - max(following.sign - following.start, 0), domain)
    before = _mask_domain(between[:domain]) if domain else ""
    return (
        before + between[domain:rest] + (_mask_name(between[rest:]) if rest < len(between) else "")
    )


def _mask_domain(domain: str) -> str:
    host, dot, end = domain.rstrip(".").rpartition(".")
    return f"{(host or end)[:1]}{DOTS}{dot and dot + end}"


def _mask_name(name: str) -> str:
    bare = name.lstrip('\\"')
    return f"{bare[:1]}{DOTS}"
