"""Compile the fields of a mapping into functions that compute their values for an event.

A field's value is plain JSON or a directive, `{"@path": "$.traits.email"}`; directives may stand in
one another. Where Segment's engine fails at an event because a directive gets a value of the wrong
type, the value is undefined here, and the rest of the event is mapped.
"""

from collections.abc import Callable, Mapping
from typing import Any

from app.mapping_kit.compiler import Compiler, Directive, directive_names
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import UNDEFINED
from app.mapping_kit.replacing import compile_replace
from app.mapping_kit.shape_directives import (
    compile_array_path,
    compile_exclude_when_null,
    compile_flatten,
    compile_if,
    compile_literal,
    compile_merge,
)
from app.mapping_kit.text_directives import (
    compile_case,
    compile_json,
    compile_path_directive,
    compile_template_directive,
)

Resolve = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Computes the values of all fields for an event. Fields without a value are left out."""

DIRECTIVES: Mapping[str, Directive] = {
    "@path": compile_path_directive,
    "@template": compile_template_directive,
    "@if": compile_if,
    "@literal": compile_literal,
    "@arrayPath": compile_array_path,
    "@case": compile_case,
    "@replace": compile_replace,
    "@flatten": compile_flatten,
    "@json": compile_json,
    "@merge": compile_merge,
    "@excludeWhenNull": compile_exclude_when_null,
}
"""Directive → what compiles it."""


def compile_fields(fields: Mapping[str, Any]) -> Resolve:
    """Compile the fields. Raises `InvalidMapping` with all that is wrong, by place."""
    compiler = Compiler(DIRECTIVES)
    values = {name: compiler.value(each, f"fields.{name}") for name, each in fields.items()}
    for name in directive_names(fields):
        compiler.errors[f"fields.{name}"] = ["Directives are for the value of a field."]
    if compiler.errors:
        raise InvalidMapping(compiler.errors)

    # what an event has is defined all through; only what is put together may have gaps
    whole = {name for name, each in fields.items() if _is_from_event(each)}

    def resolve(event: Mapping[str, Any]) -> dict[str, Any]:
        resolved = {}
        for name, value in values.items():
            try:
                found = value(event)
                if found is not UNDEFINED:
                    resolved[name] = found if name in whole else _defined(found)
            except RecursionError:
                continue  # nested more deeply than Python goes: a value of the wrong type
        return resolved

    return resolve


def _is_from_event(given: Any) -> bool:
    return not isinstance(given, (dict, list)) or (isinstance(given, dict) and "@path" in given)


def _defined(value: Any) -> Any:
    """The value without what is undefined in it. In lists that is null, as JSON has it."""
    if isinstance(value, dict):
        return {key: _defined(each) for key, each in value.items() if each is not UNDEFINED}
    if isinstance(value, list):
        return [None if each is UNDEFINED else _defined(each) for each in value]
    return value
