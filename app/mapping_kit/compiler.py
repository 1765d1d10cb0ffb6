"""Compile values of a mapping: plain JSON with directives in it."""

from collections.abc import Callable, Mapping
from typing import Any

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import UNDEFINED

Value = Callable[[Any], Any]
"""Computes one value for an event; `UNDEFINED` if there is none."""

Directive = Callable[["Compiler", Any, str], Value]
"""Compiles what stands behind a directive's name, at a place. Raises `InvalidMapping`."""


class Compiler:
    """Compiles values, and collects all that is wrong with them."""

    def __init__(self, directives: Mapping[str, Directive]) -> None:
        self.errors: dict[str, list[str]] = {}
        self._directives = directives

    def value(self, given: Any, place: str) -> Value:
        """Compile plain JSON or a directive."""
        if isinstance(given, list):
            return self._list(given, place)
        if not isinstance(given, dict):
            return lambda _: given
        if names := directive_names(given):
            return self._directive(given, names, place)
        parts = {key: self.value(each, f"{place}.{key}") for key, each in given.items()}
        return lambda event: {key: part(event) for key, part in parts.items()}

    def _list(self, given: list[Any], place: str) -> Value:
        items = [self.value(each, f"{place}.{number}") for number, each in enumerate(given)]
        return lambda event: [item(event) for item in items]

    def _directive(self, given: dict[str, Any], names: list[str], place: str) -> Value:
        try:
            return self._known(given, names, place)
        except InvalidMapping as error:
            for wrong, reasons in error.errors.items():
                self.errors.setdefault(wrong, []).extend(reasons)
            return lambda _: UNDEFINED

    def _known(self, given: dict[str, Any], names: list[str], place: str) -> Value:
        name = names[0]
        if given.keys() - {name, "_metadata"}:
            raise InvalidMapping.because(f"{name} has to stand alone in its braces.", place)
        if name not in self._directives:
            known = ", ".join(self._directives)
            raise InvalidMapping.because(f"{name} is not supported. These are: {known}.", place)
        return self._directives[name](self, given[name], f"{place}.{name}")

    def text(self, given: Any, place: str) -> Value:
        """Compile text, or a directive that gives text."""
        if given == "" or not (isinstance(given, str) or directive_names(given)):
            raise InvalidMapping.because("Has to be text or a directive.", place)
        return self.value(given, place)


def directive_names(given: Any) -> list[str]:
    """The keys of an object that name directives."""
    return [key for key in given if key.startswith("@")] if isinstance(given, dict) else []


def read_options(
    given: Any, place: str, needed: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The object behind a directive's name. Raises `InvalidMapping` if keys are missing or
    unknown."""
    keys = (*needed, *optional)
    if not isinstance(given, dict):
        raise InvalidMapping.because(f"Has to be an object with {', '.join(keys)}.", place)
    wrong = {f"{place}.{key}": ["Not a key of this directive."] for key in given.keys() - {*keys}}
    if missing := [key for key in needed if key not in given]:
        wrong[place] = [f"Needs {', '.join(missing)}."]
    if wrong:
        raise InvalidMapping(wrong)
    return given


def check_choice(given: Any, place: str, *choices: str) -> None:
    """Raises `InvalidMapping` if it is none of the words."""
    if given not in choices:
        raise InvalidMapping.because(f"Has to be {' or '.join(choices)}.", place)
