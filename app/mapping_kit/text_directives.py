"""The directives that find, write and read text."""

import json
from collections.abc import Callable
from typing import Any, NoReturn

from app.mapping_kit.compiler import Compiler, Value, check_choice, read_options
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import UNDEFINED, is_truthy, to_json
from app.mapping_kit.paths import compile_path
from app.mapping_kit.templates import compile_template


def from_root(path: str) -> Value:
    """Compile a path that may begin with `$.`."""
    return compile_path(path.replace("$.", "", 1))


def compile_path_directive(compiler: Compiler, given: Any, place: str) -> Value:
    """`@path`: the value at a path."""
    return _of_text(from_root, compiler, given, place)


def compile_template_directive(compiler: Compiler, given: Any, place: str) -> Value:
    """`@template`: text with placeholders."""
    return _of_text(compile_template, compiler, given, place)


def _of_text(
    compile_text: Callable[[str], Value], compiler: Compiler, given: Any, place: str
) -> Value:
    """Compile text now, or for each event if a directive gives it."""
    if isinstance(given, str):
        return compile_text(given)
    text = compiler.text(given, place)

    def compute(event: Any) -> Any:
        found = text(event)
        return compile_text(found)(event) if isinstance(found, str) else UNDEFINED

    return compute


def compile_case(compiler: Compiler, given: Any, place: str) -> Value:
    """`@case`: text in small or capital letters. Other values are passed on."""
    options = read_options(given, place, needed=("operator", "value"))
    check_choice(options["operator"], f"{place}.operator", "lower", "upper")
    change = str.lower if options["operator"] == "lower" else str.upper
    value = compiler.text(options["value"], f"{place}.value")

    def change_case(event: Any) -> Any:
        found = value(event)
        return change(found) if isinstance(found, str) else found

    return change_case


def compile_json(compiler: Compiler, given: Any, place: str) -> Value:
    """`@json`: a value as JSON text, or the value that JSON text has."""
    options = read_options(given, place, needed=("mode", "value"))
    check_choice(options["mode"], f"{place}.mode", "encode", "decode")
    if not is_truthy(options["value"]):
        raise InvalidMapping.because("Has to be a directive or a value.", f"{place}.value")
    value = compiler.value(options["value"], f"{place}.value")
    change = _encode if options["mode"] == "encode" else _decode
    return lambda event: change(value(event))


def _encode(value: Any) -> Any:
    return UNDEFINED if value is UNDEFINED else to_json(value)


def _decode(value: Any) -> Any:
    try:
        return _DECODER.decode(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _no_such_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_such_number)
