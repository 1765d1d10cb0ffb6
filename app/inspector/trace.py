"""Trace each field of Drip's body to where its value is in Segment's call.

This needs no second list of the translation's rules. Each value of the body is replaced with a
unique marker, and the marked body is translated. A marker's place in the call is where its value
goes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.drip_to_segment.mapping import COLLECTIONS
from app.drip_to_segment.translate import translate
from app.outbox.messages import Message

Path = tuple[str | int, ...]

OCCURRED = "2001-02-03T04:05:06Z"
RECEIVED = 1_012_709_106.0
"""2002-02-03T04:05:06Z: another time than `OCCURRED`."""

A_NUMBER = 10**15

PROPERTIES: Path = ("data", "properties")

PROFILE = "not sent: profile"
"""The change of a field of the person that has no place in the call."""


class NotTraceable(Exception):
    """The fields cannot be traced. The message says why."""


@dataclass(frozen=True)
class FieldTrace:
    """One field of the body, and the fields of the call that have its value."""

    source: str
    """Dotted path in the body, or "" if the bridge added the value."""
    targets: tuple[str, ...]
    """Dotted paths in the call. Empty if the value is not sent."""
    value: str
    """The value as JSON: as it came, or as the bridge added it."""
    change: str
    """What the translation did to the value, in words."""


def trace_fields(body: bytes, received_at: float) -> list[FieldTrace]:
    """Trace each value of the body, in its order, then those that the bridge added.

    Raises `NotTraceable`, also if today's rules cannot read the body.
    """
    call = _translate(body, received_at, "not one that today's rules can read")
    try:
        received = dict(leaves(json.loads(body)))
        origins = _origins(json.loads(body))
        sent = dict(leaves(call))
    except RecursionError:
        raise NotTraceable("nested too deeply") from None
    targets: dict[Path, list[Path]] = {source: [] for source in received}
    for target, source in origins.items():
        if source is not None:
            targets[source].append(target)
    traces = [_trace(source, received[source], paths, sent) for source, paths in targets.items()]
    return traces + [
        FieldTrace("", (dotted(path),), json.dumps(sent[path]), _describe_added(path))
        for path, source in origins.items()
        if source is None
    ]


@dataclass
class _Markers:
    source_of: dict[str, Path] = field(default_factory=dict)
    """A marker, as text → the path of the value it replaced."""
    wrapped: set[Path] = field(default_factory=set)
    """Paths whose marker is in a list, because a bare one would be of another type."""

    def replace(self, value: Any, path: Path) -> Any:
        """Return the value with each leaf replaced by a marker of the same type."""
        if isinstance(value, dict) and value:
            return {name: self.replace(below, (*path, name)) for name, below in value.items()}
        if isinstance(value, list) and value:
            return [self.replace(below, (*path, place)) for place, below in enumerate(value)]
        marker = self._replace_leaf(value, path)
        if marker is not value:
            self.source_of[str(marker[0] if path in self.wrapped else marker)] = path
        return marker

    def _replace_leaf(self, value: Any, path: Path) -> Any:
        number = len(self.source_of)
        if path == ("event",):
            return value
        if isinstance(value, str):
            if not value.strip():  # must stay blank, which counts as missing
                return f"{number:b}".replace("0", " ").replace("1", "\t") + "\n"
            return OCCURRED if path == ("occurred_at",) else f"~{number}~"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return A_NUMBER + number
        if path == PROPERTIES or (value is None and not _is_within_a_property(path)):
            return value
        self.wrapped.add(path)
        return [f"~{number}~"]


def _is_within_a_property(path: Path) -> bool:
    """Return whether the path is inside a property's value, which is sent whole, with nulls."""
    return path[: len(PROPERTIES)] == PROPERTIES and len(path) > len(PROPERTIES) + 1


def _origins(body: Mapping[str, Any]) -> dict[Path, Path | None]:
    """Map each path in the call to its path in the body, or to None if the bridge added it."""
    markers = _Markers()
    marked = json.dumps(markers.replace(body, ())).encode()
    call = _translate(marked, RECEIVED, "too near to Segment's limit of 32 KB a call")
    sources = markers.source_of | {COLLECTIONS[str(body["event"]).strip()]: ("event",)}
    if OCCURRED in sources:
        sources[OCCURRED.replace("Z", ".000+00:00")] = ("occurred_at",)
    origins: dict[Path, Path | None] = {}
    for path, value in leaves(call):
        source = sources.get(str(value))
        origins[path[:-1] if source in markers.wrapped else path] = source
    return origins


def _translate(body: bytes, received_at: float, reason: str) -> Any:
    message = translate(body, received_at)
    if not isinstance(message, Message) or message.payload is None:
        raise NotTraceable(reason)
    return json.loads(message.payload)


def _trace(source: Path, value: Any, targets: list[Path], sent: Mapping[Path, Any]) -> FieldTrace:
    if targets:
        change = _describe_change(source, targets[0], value, sent[targets[0]])
    else:
        change = _describe_omission(source, value)
    as_json = json.dumps(value, ensure_ascii=False)
    return FieldTrace(dotted(source), tuple(map(dotted, targets)), as_json, change)


def _describe_omission(source: Path, value: Any) -> str:
    if value is None:
        return "left out: null"
    if isinstance(value, str) and not value.strip():
        return "left out: blank"
    if value in ({}, []) and source == PROPERTIES:
        return "nothing in it"
    if source[:2] == ("data", "subscriber"):
        return PROFILE
    return "not sent: unknown to the bridge"


def _describe_change(source: Path, target: Path, value: Any, sent: Any) -> str:
    changes = []
    if source[:2] == PROPERTIES and target[0] == "context":
        changes.append("into the context")
    name, new = _name(source), _name(target)
    if new != name and new.startswith("drip_"):
        changes.append("drip_ in front, or it would be dropped or overwrite another")
    elif new != name:
        changes.append("renamed")
    if isinstance(value, str) and sent == value.strip() != value:
        changes.append("trimmed")
    elif type(sent) is not type(value):
        changes.append("as text")
    elif sent != value:
        changes.append("reformatted")
    return ", ".join(changes) or "unchanged"


def _name(path: Path) -> str:
    """Return the name that the translation may change: a property's, not those in its value."""
    if path[0] == "properties":
        return str(path[1])
    return str(path[2] if path[:2] == PROPERTIES else path[-1])


def _describe_added(path: Path) -> str:
    match path:
        case ("messageId",):
            return "a hash of what identifies the event: a repeat has the same"
        case ("timestamp",):
            return "when it was received, since Drip sent no time"
        case ("integrations", *_):
            return "keeps it from going back to Drip"
        case _:
            return "added by the bridge"


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield each value that contains no other. An empty object or list is one too."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from leaves(below, (*path, name))
    elif isinstance(value, list) and value:
        for place, below in enumerate(value):
            yield from leaves(below, (*path, place))
    else:
        yield path, value


def dotted(path: Path) -> str:
    """A path as text, such as "data.properties[0]"."""
    return "".join(map(_step, path)).removeprefix(".")


def _step(name: str | int) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if re.fullmatch(r"[\w() -]+", name) else f"[{json.dumps(name)}]"
