"""Compile a trigger, such as `type = "track" and event = "Signed Up"`, into a test of events.

Triggers are in the language of Segment's Actions. What Segment reads otherwise than it looks, such
as `and` beside `or` without parentheses, is refused.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import compile_path, is_missing, to_string

Matches = Callable[[Mapping[str, Any]], bool]
"""Whether an event is one for the trigger."""

FIELDS = ("type", "event", "name", "userId")
OBJECTS = ("properties", "traits", "context")

_TOKENS = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    | (?P<sign>!=|<=|>=|[=<>!(),])
    | (?P<word>[^\s"=<>!(),]+)
    )""",
    re.VERBOSE,
)


class Token(NamedTuple):
    """A token of a trigger."""

    kind: str
    text: str


_END = Token("end", "the end")


def compile_trigger(text: str) -> Matches:
    """Compile a trigger. Raises `InvalidMapping`."""
    parser = _Parser(_tokens(text))
    matches = parser.group()
    if parser.next != _END:
        raise parser.wrong(f"{parser.next.text} is not expected here.")
    return matches


def _tokens(text: str) -> list[Token]:
    tokens = []
    end, length = 0, len(text.rstrip())
    while end < length:
        found = _TOKENS.match(text, end)
        if found is None or found.lastgroup is None:
            raise InvalidMapping({"": [f"{text[end:].strip()[:20]} cannot be read."]})
        tokens.append(Token(found.lastgroup, found[found.lastgroup]))
        end = found.end()
    return tokens


class _Parser:
    """Reads tokens from left to right."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def next(self) -> Token:
        """The next token."""
        return self._tokens[self._place] if self._place < len(self._tokens) else _END

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.next
        self._place += 1
        return token

    def expect(self, text: str) -> None:
        """Take a sign."""
        token = self.take()
        if token.text != text:
            raise self.wrong(f"{text} is expected before {token.text}.")

    def wrong(self, reason: str) -> InvalidMapping:
        """The error for this reason."""
        return InvalidMapping({"": [reason]})

    def group(self) -> Matches:
        """Conditions with `and` or `or` between them."""
        conditions = [self._condition()]
        words = set()
        while self.next.text in ("and", "or"):
            words.add(self.take().text)
            conditions.append(self._condition())
        if len(words) > 1:
            raise self.wrong(
                "Put parentheses around what belongs together: and beside or is ambiguous."
            )
        if len(conditions) == 1:
            return conditions[0]
        every = any if words == {"or"} else all
        return lambda event: every(condition(event) for condition in conditions)

    def _condition(self) -> Matches:
        token = self.take()
        if token.text == "(":
            inner = self.group()
            self.expect(")")
            return inner
        if token.text == "!":
            if self.next.text not in _FUNCTIONS:
                raise self.wrong("! is for contains() and match() alone.")
            return self._function(self.take().text, is_negated=True)
        if token.text in _FUNCTIONS:
            return self._function(token.text)
        if token.text == "not":
            raise self.wrong("not is not supported: use !=, !contains() or !match().")
        if token.kind != "word":
            raise self.wrong(f"A field is expected before {token.text}.")
        return self._comparison(token.text)

    def _comparison(self, field: str) -> Matches:
        look = self._field(field)
        sign = self.take().text
        value = self._value()
        if sign not in ("=", "!=", *_ORDER):
            raise self.wrong(f"{sign} is no comparison: use =, !=, <, <=, >, >=.")
        if sign in _ORDER:
            return _ordered(look, _ORDER[sign], self._number(value))
        test = _equals(value, is_text=field in FIELDS)
        if sign == "=":
            return lambda event: test(look(event))
        if isinstance(value, bool) and field not in FIELDS:
            raise self.wrong("Segment reads != true and != false as text: use = in their place.")
        if isinstance(value, float) and field not in FIELDS:
            return lambda event: _is_number(found := look(event)) and not test(found)
        return lambda event: not test(look(event))

    def _number(self, value: Any) -> float:
        try:
            return float(value)
        except (TypeError, ValueError):
            raise self.wrong("<, <=, > and >= are for numbers.") from None

    def _function(self, name: str, is_negated: bool = False) -> Matches:
        self.expect("(")
        look = self._field(self.take().text)
        self.expect(",")
        wanted = to_string(self._value())
        self.expect(")")
        if name == "match":
            name, wanted = self._glob(wanted)
        test = _FUNCTIONS[name]

        def matches(event: Mapping[str, Any]) -> bool:
            found = look(event)
            return isinstance(found, str) and test(found, wanted) is not is_negated

        return matches

    def _glob(self, pattern: str) -> tuple[str, str]:
        """The test for a pattern, and its text."""
        if pattern.count("*") == 1 and pattern.endswith("*"):
            return "starts", pattern[:-1]
        if pattern.count("*") == 1 and pattern.startswith("*"):
            return "ends", pattern[1:]
        raise self.wrong('match() takes one * at the beginning or the end: "Signed*".')

    def _field(self, name: str) -> Callable[[Mapping[str, Any]], Any]:
        first, _, rest = name.partition(".")
        if name in FIELDS:
            return lambda event: event.get(name)
        if first in OBJECTS and rest:
            path = compile_path(rest)
            return lambda event: path(event.get(first))
        allowed = ", ".join([*FIELDS, *(f"{each}.…" for each in OBJECTS)])
        raise self.wrong(f"{name} is no field: use {allowed}.")

    def _value(self) -> str | float | bool | None:
        token = self.take()
        if token.kind == "string":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind == "number":
            return float(token.text)
        if token.text in _WORDS:
            return _WORDS[token.text]
        raise self.wrong(
            f'A value is expected before {token.text}: text in ", a number, true or null.'
        )


_WORDS = {"true": True, "false": False, "null": None}

_ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}

_FUNCTIONS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, wanted: wanted in text,
    "match": str.__eq__,
    "starts": str.startswith,
    "ends": str.endswith,
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(
    look: Callable[[Mapping[str, Any]], Any],
    compare: Callable[[float, float], bool],
    wanted: float,
) -> Matches:
    return lambda event: _is_number(found := look(event)) and compare(found, wanted)


def _equals(value: str | float | bool | None, is_text: bool) -> Callable[[Any], bool]:
    """The test for one value. Of fields that are text, everything is compared as text."""
    if value is None:
        return is_missing
    if isinstance(value, bool) and not is_text:
        return lambda found: found is value
    if isinstance(value, float) and not is_text:
        return lambda found: _is_number(found) and found == value
    text = to_string(value)
    return lambda found: isinstance(found, str) and found == text
