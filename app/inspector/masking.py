"""Addresses in whatever is shown, hidden until somebody asks to see them. Pure.

Rather too much is hidden than too little. A body is a stranger's and may be 1 MiB: each step here
takes time in proportion to the text.
"""

import re
from typing import Any

DOTS = "•••"

_SIGN = re.compile(r"(@|\uff20|%(?:25)*40|\\{1,8}u0040|&#(?:64|x40);)", re.IGNORECASE)
"""An at sign as it stands, in a URL, in a URL in a URL, in JSON, and in HTML."""

_BREAK = r"\s\"'<>()\[\]{},;:/?\\"

_EMAN = re.compile(rf'"\\*[^"\n]{{1,64}}"\\*|[^{_BREAK}]+')
"""What stands before the sign, backwards; in quotes it may have anything in it."""

_DOMAIN = re.compile(rf"[^{_BREAK}=&%|#]+")


def mask(text: str) -> str:
    """The text with each address as `a•••@e•••.com`.

    Not found: an address that was encoded in another way, such as in base64.
    """
    pieces = _SIGN.split(text)
    between, signs = pieces[::2], pieces[1::2]
    names = [_length(_EMAN, piece[::-1]) for piece in between[:-1]]
    domains = [_length(_DOMAIN, piece) for piece in between[1:]]
    shown = []
    for place, piece in enumerate(between):
        domain = domains[place - 1] if place > 0 and names[place - 1] else 0
        name = names[place] if place < len(signs) and domains[place] else 0
        shown.append(_hide(piece, domain, name))
        shown += signs[place : place + 1]
    return "".join(shown)


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


def _length(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _hide(piece: str, domain: int, name: int) -> str:
    """What stands between two signs, without the first one's domain and the second one's name."""
    rest = max(len(piece) - name, domain)
    before = _hide_domain(piece[:domain]) if domain else ""
    return before + piece[domain:rest] + (_hide_name(piece[rest:]) if rest < len(piece) else "")


def _hide_domain(domain: str) -> str:
    host, dot, end = domain.rstrip(".").rpartition(".")
    return f"{(host or end)[:1]}{DOTS}{dot and dot + end}"


def _hide_name(name: str) -> str:
    bare = name.lstrip('\\"')
    return f"{bare[:1]}{DOTS}"
