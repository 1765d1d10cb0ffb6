"""Compile a trigger, such as `type = "track" and event = "Signed Up"`, into a test of events.

Triggers are in the language of Segment's Actions. What Segment reads otherwise than it looks, such
as `and` beside `or` without parentheses, is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.paths import Look, compile_field_path
from app.mapping_kit.trigger_tests import (
    FUNCTIONS,
    ORDER,
    Constant,
    Test,
    compare_any,
    compare_text,
    compile_function,
)
from app.mapping_kit.trigger_tokens import END, Token, text_in_quotes, tokens_of, unescaped

Matches = Callable[[Mapping[str, Any]], bool]
"""Whether an event is one for the trigger."""

FIELDS = ("type", "event", "name", "userId")
"""Fields of a call that are text."""

NEVER_NULL = ("type", "event")
"""Fields that Segment compares with the text "null", not with null."""

OBJECTS = ("properties", "traits", "context")

WORDS: Mapping[str, Constant] = {"true": True, "false": False, "null": None}


def compile_trigger(text: str) -> Matches:
    """Compile a trigger. Raises `InvalidMapping`."""
    parser = _Parser(tokens_of(text))
    matches = parser.group()
    if parser.next != END:
        raise InvalidMapping.because(
            f"{parser.next.text} is not expected here: and, or (in small letters) join conditions."
        )
    return matches


class _Parser:
    """Reads tokens from left to right. Each method raises `InvalidMapping` if it cannot go on."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0

    @property
    def next(self) -> Token:
        """The next token."""
        return self._tokens[self._place] if self._place < len(self._tokens) else END

    def take(self) -> Token:
        """The next token, which is then behind."""
        token = self.next
        self._place += 1
        return token

    def expect(self, text: str) -> None:
        """Take a sign."""
        token = self.take()
        if token.text != text:
            raise InvalidMapping.because(f"{text} is expected before {token.text}.")

    def group(self) -> Matches:
        """Conditions with `and` or `or` between them."""
        conditions = [self._condition()]
        words = set()
        while self.next.text in ("and", "or"):
            words.add(self.take().text)
            conditions.append(self._condition())
        if len(words) > 1:
            raise InvalidMapping.because(
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
        if token.text == "!" and self.next.text not in FUNCTIONS:
            raise InvalidMapping.because("! is for contains() and match() alone.")
        if token.text == "!":
            return self._function(self.take().text, is_negated=True)
        if token.text in FUNCTIONS:
            return self._function(token.text)
        if token.text == "not":
            raise InvalidMapping.because("not is not supported: use !=, !contains() or !match().")
        return self._comparison(token)

    def _comparison(self, token: Token) -> Matches:
        look = _field(token)
        sign = self.take().text
        if sign not in ("=", "!=", *ORDER):
            raise InvalidMapping.because(f"{sign} is no comparison: use =, !=, <, <=, >, >=.")
        wanted = self._constant()
        if token.text in NEVER_NULL and wanted is None:
            raise InvalidMapping.because(f'Segment compares {token.text} with the text "null".')
        test = (compare_text if token.text in FIELDS else compare_any)(sign, wanted)
        return _on(look, test)

    def _function(self, name: str, is_negated: bool = False) -> Matches:
        self.expect("(")
        field = self.take()
        if field.text == "type":
            raise InvalidMapping.because(f"{name}() does not take type.")
        self.expect(",")
        wanted = self._constant()
        self.expect(")")
        return _on(_field(field), compile_function(name, wanted, is_negated))

    def _constant(self) -> Constant:
        token = self.take()
        if token.kind == "string":
            return text_in_quotes(token)
        if token.kind == "number":
            return float(token.text)
        if token.text in WORDS:
            return WORDS[token.text]
        raise InvalidMapping.because(
            f'{token.text} is no value: use text in ", a number, true, false or null.'
        )


def _on(look: Look, test: Test) -> Matches:
    return lambda event: test(look(event))


def _field(token: Token) -> Look:
    if token.kind != "word":
        raise InvalidMapping.because(f"A field is expected before {token.text}.")
    name = unescaped(token.text)
    first, _, rest = name.partition(".")
    if name in FIELDS:
        return lambda event: event.get(name)
    if first in OBJECTS and rest.strip(".[]"):
        inner = compile_field_path(rest)
        return lambda event: inner(event.get(first))
    allowed = ", ".join([*FIELDS, *(f"{each}.…" for each in OBJECTS)])
    raise InvalidMapping.because(f"{name} is no field: use {allowed}.")
