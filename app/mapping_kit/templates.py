"""Compile templates such as `Hello {{traits.first_name}}`."""

from collections.abc import Callable, Iterator
from typing import Any

from app.mapping_kit.javascript import is_missing, to_string
from app.mapping_kit.paths import compile_path


def compile_template(template: str) -> Callable[[Any], str]:
    """Compile a template. `{{path}}` and `{{{path}}}` are the same, since nothing is escaped."""
    pieces = list(_pieces(template))

    def render(event: Any) -> str:
        values = (piece if isinstance(piece, str) else piece(event) for piece in pieces)
        return "".join("" if is_missing(value) else to_string(value) for value in values)

    return render


def _pieces(template: str) -> Iterator[str | Callable[[Any], Any]]:
    """What stands in the template: text, and functions that look up values."""
    for text, is_path in _split(template, 3):
        if is_path:
            yield compile_path(text)
            continue
        for inner, is_inner_path in _split(text, 2):
            yield compile_path(inner) if is_inner_path else inner


def _split(text: str, braces: int) -> Iterator[tuple[str, bool]]:
    """Split text at placeholders in so many braces: each part, and whether it is a path.

    No regular expression: a template may come from the event, and a search for `{{[^}]+}}` takes
    time by the square of its length.
    """
    opening, closing = "{" * braces, "}" * braces
    begin = position = 0
    while (start := text.find(opening, position)) >= 0:
        end = text.find("}", start + braces)
        if end < 0:
            break
        position = end
        if end > start + braces and text.startswith(closing, end):
            position = end + braces
            yield text[begin:start], False
            yield text[start + braces : end].strip(), True
            begin = position
    yield text[begin:], False
