"""The tests of one value that a trigger can make, as `validate` of Segment's package makes them.

A value that is missing or of another type than the test needs makes every test false, the negated
ones too, but for `!=` with text and for `= null`.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import is_missing, to_string

Test = Callable[[Any], bool]
"""Whether a value passes."""

Constant = str | float | bool | None
"""What a value can be compared with."""

ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

FUNCTIONS = ("contains", "match")

_FUNCTION_TESTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, wanted: wanted in text,
    "starts": str.startswith,
    "ends": str.endswith,
}


def compare_text(sign: str, wanted: Constant) -> Test:
    """The test of a field that is text: what it is compared with is text too. Raises
    `InvalidMapping` if there is none."""
    if sign in ORDER:
        raise InvalidMapping.because(f"{sign} is for numbers in properties, traits and context.")
    if isinstance(wanted, bool):
        raise InvalidMapping.because("This field is text: put true and false in quotes.")
    return _is_null(sign) if wanted is None else _is_text(sign, to_string(wanted))


def compare_any(sign: str, wanted: Constant) -> Test:
    """The test of a value of any type. Raises `InvalidMapping` if there is
    none."""
    if sign in ORDER:
        return _ordered(sign, wanted)
    if wanted is None:
        return _is_null(sign)
    if isinstance(wanted, bool):
        if sign == "!=":
            raise InvalidMapping.because(
                "Segment reads != true and != false as text: use = in their place."
            )
        return lambda found: found is wanted
    return _is_text(sign, wanted) if isinstance(wanted, str) else _is_number(sign, wanted)


def _is_null(sign: str) -> Test:
    return is_missing if sign == "=" else lambda found: not is_missing(found)


def _is_text(sign: str, wanted: str) -> Test:
    if sign == "=":
        return lambda found: isinstance(found, str) and found == wanted
    return lambda found: not isinstance(found, str) or found != wanted


def _is_number(sign: str, wanted: float) -> Test:
    compare = operator.eq if sign == "=" else operator.ne
    return lambda found: _number(found) and compare(found, wanted)


def _ordered(sign: str, wanted: Constant) -> Test:
    if isinstance(wanted, str) and re.fullmatch(r"[-+]?[0-9]+(\.[0-9]+)?", wanted):
        wanted = float(wanted)
    if not isinstance(wanted, float):
        raise InvalidMapping.because(f"{sign} is for numbers.")
    compare, number = ORDER[sign], wanted
    return lambda found: _number(found) and compare(found, number)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compile_function(name: str, wanted: Constant, is_negated: bool) -> Test:
    """The test of `contains` or `match`. Raises `InvalidMapping` if there is
    none."""
    if wanted is None:
        raise InvalidMapping.because(f"{name}() is for text: use = null.")
    text = to_string(wanted)
    if name == "match":
        name, text = _glob(text)
    test = _FUNCTION_TESTS[name]
    return lambda found: isinstance(found, str) and test(found, text) is not is_negated


def _glob(pattern: str) -> tuple[str, str]:
    """The name of the test for a pattern, and its text."""
    if pattern.count("*") == 1 and pattern.endswith("*"):
        return "starts", pattern[:-1]
    if pattern.count("*") == 1 and pattern.startswith("*"):
        return "ends", pattern[1:]
    raise InvalidMapping.because('match() takes one * at the beginning or the end: "Signed*".')
