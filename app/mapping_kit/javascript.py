"""What JavaScript makes of values, as far as mappings show it."""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final, Literal, TypeGuard


class Undefined:
    """The type of `UNDEFINED`."""

    def __bool__(self) -> Literal[False]:
        return False


UNDEFINED: Final = Undefined()
"""What is not there, other than null, which is None."""

LARGEST_WRITTEN_OUT = 10**21
"""From here on JavaScript writes numbers with an exponent."""


def is_missing(value: Any) -> TypeGuard[Undefined | None]:
    """Whether it is null or undefined."""
    return value is None or value is UNDEFINED


def is_truthy(value: Any) -> bool:
    """Whether it counts as true: empty lists and objects do."""
    return bool(value) or isinstance(value, (list, dict))


def is_blank(value: Any) -> bool:
    """Whether `value == ''` holds."""
    return to_string(value) == "" if isinstance(value, list) else value in ("", 0)


def to_string(value: Any) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return _number(value)
    if isinstance(value, list):
        return ",".join("" if is_missing(item) else to_string(item) for item in value)
    if isinstance(value, dict):
        return "[object Object]"
    return "null" if value is None else "undefined"


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) < LARGEST_WRITTEN_OUT:
        return str(value)
    number = _double(value)
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < LARGEST_WRITTEN_OUT:
        return format(Decimal(repr(number)), "f").removesuffix(".0")
    return re.sub(r"e([+-])0", r"e\1", repr(number))


def _double(value: float) -> float:
    """The number as JavaScript has all numbers."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def to_json(value: Any) -> str:
    """`JSON.stringify(value)`."""
    if isinstance(value, str):
        text = _quoted(value)
        return text if text.isascii() else _HALF_OF_A_PAIR.sub(_by_number, text)
    if isinstance(value, list):
        return f"[{','.join(map(to_json, value))}]"
    if isinstance(value, dict):
        items = sorted(value.items(), key=_place)
        members = (f"{to_json(key)}:{to_json(it)}" for key, it in items if it is not UNDEFINED)
        return f"{{{','.join(members)}}}"
    text = to_string(value)
    return "null" if text in _NOT_IN_JSON else text


_quoted = json.JSONEncoder(ensure_ascii=False).encode

_NOT_IN_JSON = ("undefined", "Infinity", "-Infinity")

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")


def _by_number(half: re.Match[str]) -> str:
    """Half of a surrogate pair as JSON writes it, since UTF-8 has no form for it."""
    return f"\\u{ord(half[0]):x}"


def _place(item: tuple[str, Any]) -> tuple[bool, int]:
    """What an object's items are sorted by: keys that are whole numbers come first."""
    key = item[0]
    is_number = key[:1] in "0123456789" and bool(_WHOLE.fullmatch(key))
    return (False, int(key)) if is_number else (True, 0)


_WHOLE = re.compile("0|[1-9][0-9]{0,8}")


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The own entries of an object, a list or text. Of anything else none."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, (list, str)):
        yield from ((str(place), item) for place, item in enumerate(value))
