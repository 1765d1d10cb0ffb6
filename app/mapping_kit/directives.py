"""Compile the fields of a mapping into functions that compute their values for an event.

A field's value is plain JSON or a directive, `{"@path": "$.traits.email"}`; directives may stand in
one another. Where Segment's engine fails at an event because a directive gets a value of the wrong
type, the value is undefined here, and the rest of the event is mapped.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import (
    UNDEFINED,
    compile_path,
    entries,
    is_blank,
    is_missing,
    to_string,
)

Resolve = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Computes the values of all fields for an event. Fields without a value are left out."""

Value = Callable[[Any], Any]
"""Computes one value for an event; `UNDEFINED` if there is none."""

LONGEST_PATTERN = 10
"""Characters of a pattern of `@replace`, and of what takes its place."""


def compile_fields(fields: Mapping[str, Any]) -> Resolve:
    """Compile the fields. Raises `InvalidMapping` with all that is wrong, by place."""
    compiler = _Compiler()
    values = {name: compiler.value(each, f"fields.{name}") for name, each in fields.items()}
    if compiler.errors:
        raise InvalidMapping(compiler.errors)

    # what an event has is defined all through; only what is put together may have gaps
    whole = {name for name, each in fields.items() if _is_from_event(each)}

    def resolve(event: Mapping[str, Any]) -> dict[str, Any]:
        resolved = {}
        for name, value in values.items():
            found = value(event)
            if found is not UNDEFINED:
                resolved[name] = found if name in whole else _defined(found)
        return resolved

    return resolve


def _is_from_event(given: Any) -> bool:
    return not isinstance(given, dict | list) or (isinstance(given, dict) and "@path" in given)


def _defined(value: Any) -> Any:
    """The value without what is undefined in it."""
    if isinstance(value, dict):
        return {key: _defined(each) for key, each in value.items() if each is not UNDEFINED}
    if isinstance(value, list):
        return [None if each is UNDEFINED else _defined(each) for each in value]
    return value


class _Compiler:
    """Compiles values, and collects what is wrong with them."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def value(self, given: Any, place: str) -> Value:
        """Compile plain JSON or a directive."""
        if isinstance(given, list):
            items = [self.value(item, f"{place}.{n}") for n, item in enumerate(given)]
            return lambda event: [item(event) for item in items]
        if not isinstance(given, dict):
            return lambda _: given
        directives = [key for key in given if key.startswith("@")]
        if directives:
            return self._directive(given, directives, place)
        parts = {key: self.value(each, f"{place}.{key}") for key, each in given.items()}
        return lambda event: {key: part(event) for key, part in parts.items()}

    def wrong(self, place: str, reason: str) -> Value:
        """Note what is wrong."""
        self.errors.setdefault(place, []).append(reason)
        return lambda _: UNDEFINED

    def _directive(self, given: dict[str, Any], directives: list[str], place: str) -> Value:
        name = directives[0]
        if len(directives) > 1 or given.keys() - {name, "_metadata"}:
            return self.wrong(place, f"{name} has to stand alone in its braces.")
        compile_it = DIRECTIVES.get(name)
        if compile_it is None:
            known = ", ".join(DIRECTIVES)
            return self.wrong(place, f"{name} is not supported. These are: {known}.")
        return compile_it(self, given[name], f"{place}.{name}")

    def text(self, given: Any, place: str) -> Value:
        """Compile text, or a directive that gives text."""
        is_directive = isinstance(given, dict) and any(key.startswith("@") for key in given)
        if isinstance(given, str) or is_directive:
            return self.value(given, place)
        return self.wrong(place, "Has to be text or a directive.")

    def options(self, given: Any, place: str, *needed: str, may: str = "") -> dict[str, Any]:
        """Check the keys of a directive's object. An empty one if it cannot be used."""
        if not isinstance(given, dict):
            self.wrong(place, f"Has to be an object with {', '.join(needed or may.split())}.")
            return {}
        missing = [key for key in needed if given.get(key) in (None, "", False)]
        unknown = given.keys() - {*needed, *may.split()}
        for key in missing:
            self.wrong(place, f"Needs {key}.")
        for key in sorted(unknown):
            self.wrong(f"{place}.{key}", "Not a key of this directive.")
        return {} if missing else given


def _path(compiler: _Compiler, given: Any, place: str) -> Value:
    if isinstance(given, str):
        return compile_path(given.replace("$.", "", 1))
    text = compiler.text(given, place)

    def look(event: Any) -> Any:
        path = text(event)
        is_path = isinstance(path, str)
        return compile_path(path.replace("$.", "", 1))(event) if is_path else UNDEFINED

    return look


def _template(compiler: _Compiler, given: Any, place: str) -> Value:
    if isinstance(given, str):
        return _compile_template(given)
    text = compiler.text(given, place)

    def render(event: Any) -> Any:
        template = text(event)
        return _compile_template(template)(event) if isinstance(template, str) else UNDEFINED

    return render


_PLACEHOLDER = re.compile(r"\{\{\{([^}]+)\}\}\}|\{\{([^}]+)\}\}")


def _compile_template(template: str) -> Value:
    pieces: list[Value] = []
    end = 0
    for found in _PLACEHOLDER.finditer(template):
        pieces.append(_constant(template[end : found.start()]))
        pieces.append(compile_path((found[1] or found[2]).strip()))
        end = found.end()
    rest = template[end:]

    def render(event: Any) -> str:
        values = (piece(event) for piece in pieces)
        return "".join("" if is_missing(each) else to_string(each) for each in values) + rest

    return render


def _constant(value: Any) -> Value:
    return lambda _: value


def _if(compiler: _Compiler, given: Any, place: str) -> Value:
    options = compiler.options(given, place, may="exists blank then else")
    test = "exists" if options.get("exists") else "blank"
    if not options.get(test):
        return compiler.wrong(place, "Needs exists or blank.")
    condition = compiler.value(options[test], f"{place}.{test}")
    has_then = "then" in options
    then = compiler.value(options.get("then"), f"{place}.then")
    otherwise = compiler.value(options.get("else"), f"{place}.else")
    has_else = options.get("else") not in (None, "", False, 0)

    def choose(event: Any) -> Any:
        value = condition(event)
        holds = not is_missing(value) and (test == "exists" or not is_blank(value))
        if holds:
            return then(event) if has_then else UNDEFINED
        return otherwise(event) if has_else else UNDEFINED

    return choose


def _case(compiler: _Compiler, given: Any, place: str) -> Value:
    options = compiler.options(given, place, "operator", "value")
    if not options:
        return compiler.value(None, place)
    change = {"lower": str.lower, "upper": str.upper}.get(str(options["operator"]))
    if change is None:
        return compiler.wrong(f"{place}.operator", "Has to be lower or upper.")
    value = compiler.text(options["value"], f"{place}.value")

    def change_case(event: Any) -> Any:
        text = value(event)
        return change(text) if isinstance(text, str) else text

    return change_case


def _replace(compiler: _Compiler, given: Any, place: str) -> Value:
    optional = "replacement pattern2 replacement2 ignorecase global"
    options = compiler.options(given, place, "pattern", "value", may=optional)
    if not options:
        return compiler.value(None, place)
    flags = re.IGNORECASE if options.get("ignorecase") else re.NOFLAG
    count = 1 if options.get("global") is False else 0
    for name, is_right, reason in (
        *((name, _is_short_text, _SHORT) for name in ("pattern", "replacement")),
        *((name, _is_short_text, _SHORT) for name in ("pattern2", "replacement2")),
        *((name, _is_flag, "Has to be true or false.") for name in ("ignorecase", "global")),
    ):
        if not is_right(options.get(name)):
            return compiler.wrong(f"{place}.{name}", reason)
    steps = [
        (re.compile(re.escape(pattern), flags), _replacement(options.get(replacement) or ""))
        for pattern, replacement in (
            (options["pattern"], "replacement"),
            (options.get("pattern2"), "replacement2"),
        )
        if pattern
    ]
    value = compiler.text(options["value"], f"{place}.value")

    def replace(event: Any) -> str:
        text = value(event)
        if not isinstance(text, str | bool | int | float):
            return ""
        text = to_string(text)
        for pattern, replacement in steps:
            text = pattern.sub(replacement, text, count)
        return text

    return replace


def _is_short_text(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= LONGEST_PATTERN)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | None)


_SHORT = f"Has to be text of at most {LONGEST_PATTERN} characters."


def _replacement(text: str) -> Callable[[re.Match[str]], str]:
    """What takes a pattern's place: in it `$&` is what was found, and `$$` is `$`."""
    return lambda found: re.sub(r"\$[$&]", lambda sign: found[0] if sign[0] == "$&" else "$", text)


def _array_path(compiler: _Compiler, given: Any, place: str) -> Value:
    if not isinstance(given, list) or not given:
        return compiler.wrong(place, "Has to be a list: a path, and perhaps the shape of an item.")
    path, *shapes = given
    root = (
        _path(compiler, path, f"{place}.0")
        if isinstance(path, str)
        else compiler.text(path, f"{place}.0")
    )
    shape = shapes[0] if shapes else None
    if not isinstance(shape, dict) or not shape:
        return root
    item = compiler.value(shape, f"{place}.1")

    def map_items(event: Any) -> Any:
        found = root(event)
        if not isinstance(found, list | dict):
            return found
        return [item(each) for each in (found if isinstance(found, list) else [found])]

    return map_items


def _flatten(compiler: _Compiler, given: Any, place: str) -> Value:
    options = compiler.options(given, place, "separator", "value", may="omitArrays")
    if not options:
        return compiler.value(None, place)
    separator = options["separator"]
    if not isinstance(separator, str):
        return compiler.wrong(f"{place}.separator", "Has to be text.")
    value = compiler.value(options["value"], f"{place}.value")
    kinds = (dict,) if options.get("omitArrays") else (dict, list)

    def flat(found: Any, prefix: str) -> dict[str, Any]:
        if not isinstance(found, kinds):
            return {prefix: found}
        below: dict[str, Any] = {}
        for key, each in entries(found):
            below |= flat(each, f"{prefix}{separator}{key}" if prefix else key)
        return below

    return lambda event: flat(value(event), "")


def _json(compiler: _Compiler, given: Any, place: str) -> Value:
    options = compiler.options(given, place, "mode", "value")
    if not options:
        return compiler.value(None, place)
    if options["mode"] not in ("encode", "decode"):
        return compiler.wrong(f"{place}.mode", "Has to be encode or decode.")
    value = compiler.value(options["value"], f"{place}.value")
    return _encoded(value) if options["mode"] == "encode" else _decoded(value)


def _encoded(value: Value) -> Value:
    def encode(event: Any) -> Any:
        found = _defined(value(event))
        if found is UNDEFINED:
            return UNDEFINED
        return json.dumps(_whole(found), ensure_ascii=False, separators=(",", ":"))

    return encode


def _whole(value: Any) -> Any:
    """The value with whole numbers written as such: JavaScript has one kind of number."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return {k: _whole(each) for k, each in value.items()} if isinstance(value, dict) else value


def _decoded(value: Value) -> Value:
    def decode(event: Any) -> Any:
        text = value(event)
        try:
            return json.loads(text) if isinstance(text, str) else text
        except (ValueError, RecursionError):
            return text

    return decode


def _merge(compiler: _Compiler, given: Any, place: str) -> Value:
    options = compiler.options(given, place, "direction", "objects")
    if not options:
        return compiler.value(None, place)
    direction, objects = options["direction"], options["objects"]
    if direction not in ("left", "right"):
        return compiler.wrong(f"{place}.direction", "Has to be left or right.")
    if not isinstance(objects, list):
        return compiler.wrong(f"{place}.objects", "Has to be a list.")
    values = [compiler.value(each, f"{place}.objects.{n}") for n, each in enumerate(objects)]
    if direction == "left":
        values.reverse()

    def merge(event: Any) -> dict[str, Any]:
        return {key: each for value in values for key, each in entries(value(event))}

    return merge


def _exclude_when_null(compiler: _Compiler, given: Any, place: str) -> Value:
    value = compiler.value(given, place)

    def exclude(event: Any) -> Any:
        found = value(event)
        return UNDEFINED if found is None else _without_nulls(found)

    return exclude


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: _without_nulls(each) for key, each in value.items() if each is not None}


DIRECTIVES: dict[str, Callable[[_Compiler, Any, str], Value]] = {
    "@path": _path,
    "@template": _template,
    "@if": _if,
    "@literal": _Compiler.value,
    "@arrayPath": _array_path,
    "@case": _case,
    "@replace": _replace,
    "@flatten": _flatten,
    "@json": _json,
    "@merge": _merge,
    "@excludeWhenNull": _exclude_when_null,
}
"""Directive → what compiles it."""
