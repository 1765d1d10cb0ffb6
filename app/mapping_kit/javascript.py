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
    return bool(value) or isinstance(value, list | dict)


def is_blank(value: Any) -> bool:
    """Whether `value == ''` holds."""
    return to_string(value) == "" if isinstance(value, list) else value in ("", 0)


def to_string(value: Any) -> str:
    """`String(value)`."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case int() | float():
            return _number(value)
        case list():
            return ",".join("" if is_missing(item) else to_string(item) for item in value)
        case dict():
            return "[object Object]"
        case None:
            return "null"
        case _:
            return "undefined"


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
    match value:
        case str():
            quoted = json.dumps(value, ensure_ascii=False)
            return _HALF_OF_A_PAIR.sub(lambda half: f"\\u{ord(half[0]):x}", quoted)
        case list():
            return f"[{','.join(map(to_json, value))}]"
        case dict():
            items = sorted(value.items(), key=_place)
            members = (f"{to_json(key)}:{to_json(it)}" for key, it in items if it is not UNDEFINED)
            return f"{{{','.join(members)}}}"
        case None | Undefined():
            return "null"
        case int() | float() if not math.isfinite(_double(value)):
            return "null"
        case _:
            return to_string(value)


def _place(item: tuple[str, Any]) -> tuple[bool, int]:
    """What an object's items are sorted by: keys that are whole numbers come first."""
    is_number = bool(_WHOLE.fullmatch(item[0]))
    return not is_number, int(item[0]) if is_number else 0


_WHOLE = re.compile("0|[1-9][0-9]{0,8}")

_HALF_OF_A_PAIR = re.compile("[\ud800-\udfff]")
"""JSON writes half of a surrogate pair by its number, since UTF-8 has no form for it."""


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The own entries of an object, a list or text. Of anything else none."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | str):
        yield from ((str(place), item) for place, item in enumerate(value))
