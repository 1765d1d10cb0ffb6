"""Mappings as data: which calls become what in Drip. A preset, or a file of one's own.

The form is that of Segment's Actions: a trigger, an action, and the action's fields with the
directives of Segment's mapping-kit (docs/mapping-file.md).
"""

from collections.abc import Mapping as Dict
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from marshmallow import Schema, ValidationError, fields, validate

from app.errors import ConfigError, FieldErrors, InvalidPayload
from app.json_reading import read_object
from app.mapping_kit.directives import Resolve, compile_fields
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.triggers import Matches, compile_trigger
from app.segment_to_drip.mapping.actions import ACTIONS

PRESETS = ("bridge", "classic", "actions")
"""Mappings that come with the bridge: its own rules, and those of Segment's two destinations."""

MOST = 50
"""Mappings of one file."""


class Mapping(NamedTuple):
    """One mapping, ready to be applied."""

    name: str
    action: str
    matches: Matches
    """Whether a call is one for this mapping."""
    resolve: Resolve
    """The values of the action's fields for a call. One that is mapped and has no value is None."""


class Mappings(NamedTuple):
    """All mappings, in their order."""

    name: str
    """Of the preset, or of the file."""
    all: tuple[Mapping, ...]

    def of(self, call: Dict[str, Any]) -> list[Mapping]:
        """Those that a call is for."""
        return [mapping for mapping in self.all if mapping.matches(call)]


def text_of(name: str) -> str:
    """The JSON of a preset, or of a file. Raises `ConfigError` if there is no such file."""
    if name in PRESETS:
        preset = files("app.segment_to_drip.mapping") / "presets" / f"{name}.json"
        return preset.read_text(encoding="utf-8")
    try:
        return Path(name).read_text(encoding="utf-8-sig")  # some editors begin it with a mark
    except OSError as error:
        raise ConfigError(
            f"DRIP_MAPPING: cannot read {name}: {error.strerror}. It is a JSON file's path or one "
            f"of {', '.join(PRESETS)}."
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(f"DRIP_MAPPING: {name} is no text in UTF-8.") from None


def load(name: str) -> Mappings:
    """The mappings of a preset or a file. Raises `ConfigError` that says what is wrong, and at
    which place."""
    try:
        return compile_mappings(Path(name).name, read_object(text_of(name).encode()))
    except InvalidPayload as error:
        raise ConfigError(f"DRIP_MAPPING: {name}: {error.errors['body'][0]}") from None
    except RecursionError:
        raise ConfigError(f"DRIP_MAPPING: {name} is nested too deeply.") from None
    except InvalidMapping as error:
        lines = (
            f"\n  {path}: {' '.join(reasons)}" for path, reasons in sorted(error.errors.items())
        )
        raise ConfigError(f"DRIP_MAPPING: {name} cannot be used:{''.join(lines)}") from None


@cache
def preset(name: str) -> Mappings:
    """A preset. It is compiled once."""
    return load(name)


def compile_mappings(name: str, value: Any) -> Mappings:
    """Compile the value of such a file. Raises `InvalidMapping` with all that is wrong in it."""
    try:
        listed = _FILE.load(value)["mappings"]
    except ValidationError as error:
        raise InvalidMapping(_flat(error.messages_dict)) from None
    compiled: list[Mapping] = []
    errors: dict[str, list[str]] = {}
    names = set()
    for number, each in enumerate(listed):
        if each["name"] in names:
            errors[f"mappings.{number}.name"] = ["Another mapping has this name."]
        names.add(each["name"])
        try:
            compiled.append(_compile(each))
        except InvalidMapping as error:
            errors |= {
                f"mappings.{number}.{path}": [*reasons] for path, reasons in error.errors.items()
            }
    if errors:
        raise InvalidMapping(errors)
    return Mappings(name, tuple(compiled))


def _compile(each: Dict[str, Any]) -> Mapping:
    errors: dict[str, list[str]] = {}
    known = ACTIONS[each["action"]]
    for name in each["values"].keys() - known.keys():
        errors[f"fields.{name}"] = [f"Not a field of {each['action']}: it has {', '.join(known)}."]
    for name, field in known.items():
        if field.is_needed and each["values"].get(name) is None:
            errors[f"fields.{name}"] = [f"{each['action']} needs it."]
    matches, resolve = None, None
    try:
        matches = compile_trigger(each["trigger"])
    except InvalidMapping as error:
        errors["trigger"] = [reason for reasons in error.errors.values() for reason in reasons]
    try:
        resolve = compile_fields(each["values"])
    except InvalidMapping as error:
        errors |= {path: [*reasons] for path, reasons in error.errors.items()}
    if errors or matches is None or resolve is None:
        raise InvalidMapping(errors)
    nothing = dict.fromkeys(each["values"])
    return Mapping(each["name"], each["action"], matches, lambda call: nothing | resolve(call))


class _Mapping(Schema):
    """One mapping as it stands in a file."""

    name = fields.String(
        required=True,
        validate=[
            validate.Length(1, 100),
            validate.Predicate("isprintable", error="Has to be letters that can be shown."),
        ],
    )
    trigger = fields.String(required=True)
    action = fields.String(
        required=True,
        validate=validate.OneOf(ACTIONS, error=f"Not one of {', '.join(ACTIONS)}."),
    )
    values = fields.Dict(keys=fields.String(), data_key="fields", load_default=dict)


class _File(Schema):
    """A file of mappings."""

    mappings = fields.List(
        fields.Nested(_Mapping), required=True, validate=validate.Length(1, MOST)
    )


_FILE = _File()


def _flat(messages: Any, path: str = "") -> FieldErrors:
    """marshmallow's messages by dotted path."""
    if isinstance(messages, dict):
        flat: dict[str, Any] = {}
        for name, inner in messages.items():
            below = path if name == "_schema" else f"{path}.{name}".lstrip(".")
            flat |= _flat(inner, below)
        return flat
    return {path or "mappings": [str(each) for each in messages]}
