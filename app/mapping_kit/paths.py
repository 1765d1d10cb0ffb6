"""Compile paths into functions that look values up in an event."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from app.mapping_kit.javascript import UNDEFINED

Look = Callable[[Any], Any]
"""Looks a value up; returns `UNDEFINED` if there is none."""


def compile_path(path: str) -> Look:
    """Compile a path such as `traits.address['city'][0]`. An empty one is the value itself."""
    parts = _SEPARATORS.split(path)
    return _look_up(re.sub("['\"]", "", part) for part in parts if part)


_SEPARATORS = re.compile(r"""\[(?=["'0-9])|\.|(?<=["'0-9])\]+""")
"""Brackets count only around text in quotes or a number. Dots always do, in quotes too."""


def compile_field_path(path: str) -> Look:
    """Compile what follows `properties.` and the like in a trigger. All brackets count, and quotes
    belong to the keys."""
    return _look_up(re.findall(r"[^\[.\]]+", path))


_INDEX = re.compile("0|[1-9][0-9]{0,8}")


def _look_up(keys: Iterable[str]) -> Look:
    steps = [(key, int(key) if _INDEX.fullmatch(key) else None) for key in keys]

    def look(value: Any) -> Any:
        for key, index in steps:
            if isinstance(value, dict):
                value = value.get(key, UNDEFINED)
            elif isinstance(value, list) or (value and isinstance(value, str)):
                value = _item(value, key, index)
            else:
                # of null, false, 0 and "" JavaScript's `value && value[key]` is the value itself
                return UNDEFINED if value else value
        return value

    return look


def _item(value: list[Any] | str, key: str, index: int | None) -> Any:
    if key == "length":
        return len(value)
    return value[index] if index is not None and index < len(value) else UNDEFINED
