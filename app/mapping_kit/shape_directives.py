"""The directives that choose between values, and shape lists and objects."""

from typing import Any

from app.mapping_kit.compiler import (
    Compiler,
    Value,
    check_choice,
    read_options,
)
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.javascript import UNDEFINED, entries, is_blank, is_missing, is_truthy
from app.mapping_kit.text_directives import from_root


def compile_if(compiler: Compiler, given: Any, place: str) -> Value:
    """`@if`: one value if another is there (`exists`), or is there and not blank (`blank`)."""
    options = read_options(given, place, optional=("exists", "blank", "then", "else"))
    if not (is_truthy(options.get("exists")) or is_truthy(options.get("blank"))):
        raise InvalidMapping.because("Needs exists or blank.", place)
    test = "exists" if "exists" in options else "blank"
    parts = {key: compiler.value(each, f"{place}.{key}") for key, each in options.items()}
    condition, then = parts[test], parts.get("then", _nothing)
    # as in Segment, an `else` that is null, false, 0 or "" counts as none
    otherwise = parts["else"] if is_truthy(options.get("else")) else _nothing

    def choose(event: Any) -> Any:
        found = condition(event)
        holds = not (is_missing(found) or (test == "blank" and is_blank(found)))
        return then(event) if holds else otherwise(event)

    return choose


def _nothing(_: Any) -> Any:
    return UNDEFINED


def compile_literal(compiler: Compiler, given: Any, place: str) -> Value:
    """`@literal`: the value as it stands. Directives in it count."""
    return compiler.value(given, place)


def compile_array_path(compiler: Compiler, given: Any, place: str) -> Value:
    """`@arrayPath`: a list at a path, each item in a shape if one is given."""
    if not isinstance(given, list) or not given:
        raise InvalidMapping.because("Has to be a list: a path, and the shape of an item.", place)
    path, shape = given[0], given[1] if len(given) > 1 else None
    is_path = isinstance(path, str)
    root = from_root(path) if is_path else compiler.text(path, f"{place}.0")
    if not isinstance(shape, dict) or not shape:
        return root
    item = compiler.value(shape, f"{place}.1")

    def map_items(event: Any) -> Any:
        found = root(event)
        if isinstance(found, list):
            return [item(each) for each in found]
        return [item(found)] if isinstance(found, dict) else found

    return map_items


def compile_flatten(compiler: Compiler, given: Any, place: str) -> Value:
    """`@flatten`: an object of one level, with keys that are paths."""
    options = read_options(given, place, needed=("separator", "value"), optional=("omitArrays",))
    separator = options["separator"]
    if not isinstance(separator, str) or not separator:
        raise InvalidMapping.because("Has to be text.", f"{place}.separator")
    value = compiler.value(options["value"], f"{place}.value")
    kinds = (dict,) if is_truthy(options.get("omitArrays")) else (dict, list)

    def flat(found: Any, prefix: str) -> dict[str, Any]:
        if not isinstance(found, kinds):
            return {prefix: found}
        below: dict[str, Any] = {}
        for key, each in entries(found):
            below |= flat(each, f"{prefix}{separator}{key}" if prefix else key)
        return below

    return lambda event: flat(value(event), "")


def compile_merge(compiler: Compiler, given: Any, place: str) -> Value:
    """`@merge`: one object of several; of equal keys those further to the given side win."""
    options = read_options(given, place, needed=("direction", "objects"))
    check_choice(options["direction"], f"{place}.direction", "left", "right")
    objects = options["objects"]
    if not isinstance(objects, list):
        raise InvalidMapping.because("Has to be a list.", f"{place}.objects")
    if wrong := {
        f"{place}.objects.{number}": ["Has to be an object or a directive."]
        for number, each in enumerate(objects)
        if not isinstance(each, dict)
    }:
        raise InvalidMapping(wrong)
    values = [compiler.value(each, f"{place}.objects.{n}") for n, each in enumerate(objects)]
    if options["direction"] == "left":
        values.reverse()
    return lambda event: {key: each for value in values for key, each in entries(value(event))}


def compile_exclude_when_null(compiler: Compiler, given: Any, place: str) -> Value:
    """`@excludeWhenNull`: a value without the nulls in it. Lists are left as they are."""
    value = compiler.value(given, place)
    return lambda event: _without_nulls(value(event))


def _without_nulls(value: Any) -> Any:
    """What was null is undefined, so that in a `@merge` it still covers what it covered."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items()}
    return UNDEFINED if value is None else value
