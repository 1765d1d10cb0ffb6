"""What JavaScript makes of values, as far as mappings show it."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeGuard


class Undefined:
    """The type of `UNDEFINED`."""


UNDEFINED: Final = Undefined()
"""What is not there, other than null, which is None."""

Look = Callable[[Any], Any]
"""Looks up a path in a value; returns `UNDEFINED` if there is nothing."""


def compile_path(path: str) -> Look:
    """Compile a path such as `traits.address['home town'][0]`. An empty one is the value itself."""
    keys = [re.sub("['\"]", "", key) for key in _SEPARATORS.split(path) if key]
    return lambda value: _look(value, keys)


_SEPARATORS = re.compile(r"""\[(?=["'\d])|\.|(?<=["'\d])\]+""")
"""Brackets count only around text in quotes or a number."""


def _look(value: Any, keys: list[str]) -> Any:
    for key in keys:
        if not value and not isinstance(value, list | dict):
            return value  # `previous && previous[key]`: null, false, 0 and "" are passed on
        value = _item(value, key)
    return value


def _item(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, UNDEFINED)
    if isinstance(value, list | str):
        if key == "length":
            return len(value)
        if re.fullmatch("0|[1-9][0-9]{0,8}", key) and int(key) < len(value):
            return value[int(key)]
    return UNDEFINED


def is_missing(value: Any) -> TypeGuard[Undefined | None]:
    """Whether it is null or undefined."""
    return value is None or value is UNDEFINED


def is_blank(value: Any) -> bool:
    """Whether `value == ''` holds."""
    if isinstance(value, list):
        return not value or (len(value) == 1 and (is_missing(value[0]) or is_blank(value[0])))
    return value in ("", 0)


def to_string(value: Any) -> str:
    """`String(value)`."""
    match value:
        case str():
            return value
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case int() | float():
            return _number(value)
        case list():
            return ",".join("" if is_missing(item) else to_string(item) for item in value)
        case dict():
            return "[object Object]"
        case _:
            return "undefined"


def _number(value: float) -> str:
    if value == value // 1 and abs(value) < 1e21:
        return str(int(value))
    return re.sub(r"e([+-])0(?=\d)", r"e\1", repr(float(value)))


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The own entries of an object, a list or text. Of anything else none."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list | str):
        yield from ((str(place), item) for place, item in enumerate(value))
