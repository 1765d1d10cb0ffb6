"""Each field's way from what Drip sent to what Segment gets. Pure.

No second list of rules that could drift from the translation: each value of the body is replaced by
a mark of its own, the marked body goes through the translation itself, and where a mark comes out,
there its value went.
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


class NotFollowed(Exception):
    """The fields' way cannot be shown; the message says why."""


@dataclass(frozen=True)
class Way:
    """From one field to where its value went; "" where the bridge itself put something there."""

    source: str
    """Dotted path in the body."""
    targets: tuple[str, ...]
    """Dotted paths in the call; none where the value is not sent."""
    value: str
    """In JSON, as it came, or as the bridge put it."""
    what: str


def follow(body: bytes, received_at: float) -> list[Way]:
    """One way for each value of the body, in its order, then those that begin in the bridge.

    Raises `NotFollowed`, also if today's rules do not read the body.
    """
    call = _translate(body, received_at, "not one that today's rules can read")
    try:
        came = dict(_leaves(json.loads(body)))
        origins = _origins(json.loads(body))
        got = dict(_leaves(call))
    except RecursionError:
        raise NotFollowed("nested too deeply") from None
    targets: dict[Path, list[Path]] = {source: [] for source in came}
    for target, source in origins.items():
        if source is not None:
            targets[source].append(target)
    ways = [_way(source, came[source], found, got) for source, found in targets.items()]
    return ways + [
        Way("", (_dotted(path),), json.dumps(got[path]), _added(path))
        for path, source in origins.items()
        if source is None
    ]


@dataclass
class _Marks:
    source_of: dict[str, Path] = field(default_factory=dict)
    """What comes out, as text → where it went in."""
    wrapped: set[Path] = field(default_factory=set)

    def mark(self, value: Any, path: Path) -> Any:
        """The same value with a mark for each leaf, of the leaf's own kind."""
        if isinstance(value, dict) and value:
            return {name: self.mark(below, (*path, name)) for name, below in value.items()}
        if isinstance(value, list) and value:
            return [self.mark(below, (*path, place)) for place, below in enumerate(value)]
        mark = self._mark_leaf(value, path)
        if mark is not value:
            self.source_of[str(mark[0] if path in self.wrapped else mark)] = path
        return mark

    def _mark_leaf(self, value: Any, path: Path) -> Any:
        number = len(self.source_of)
        if path == ("event",):
            return value
        if isinstance(value, str):
            if not value.strip():  # blank counts as missing: no two blanks are alike
                return f"{number:b}".replace("0", " ").replace("1", "\t") + "\n"
            return OCCURRED if path == ("occurred_at",) else f"~{number}~"
        if isinstance(value, int | float) and not isinstance(value, bool):
            return A_NUMBER + number
        if path == PROPERTIES or (value is None and not _is_within_a_property(path)):
            return value
        self.wrapped.add(path)  # neither text nor a number, as it was
        return [f"~{number}~"]


def _is_within_a_property(path: Path) -> bool:
    """A property's value is handed on whole, nulls in it too."""
    return path[: len(PROPERTIES)] == PROPERTIES and len(path) > len(PROPERTIES) + 1


def _origins(body: Mapping[str, Any]) -> dict[Path, Path | None]:
    """Path in the call → path in the body; None where the bridge put the value there."""
    marks = _Marks()
    marked = json.dumps(marks.mark(body, ())).encode()
    call = _translate(marked, RECEIVED, "too near to Segment's limit of 32 KB a call")
    sources = marks.source_of | {COLLECTIONS[str(body["event"]).strip()]: ("event",)}
    if OCCURRED in sources:
        sources[OCCURRED.replace("Z", ".000+00:00")] = ("occurred_at",)
    origins: dict[Path, Path | None] = {}
    for path, value in _leaves(call):
        source = sources.get(str(value))
        origins[path[:-1] if source in marks.wrapped else path] = source
    return origins


def _translate(body: bytes, received_at: float, why_not: str) -> Any:
    message = translate(body, received_at)
    if not isinstance(message, Message) or message.payload is None:
        raise NotFollowed(why_not)
    return json.loads(message.payload)


def _way(source: Path, value: Any, targets: list[Path], got: Mapping[Path, Any]) -> Way:
    what = _sent(source, targets[0], value, got) if targets else _not_sent(source, value)
    return Way(
        _dotted(source), tuple(map(_dotted, targets)), json.dumps(value, ensure_ascii=False), what
    )


def _not_sent(source: Path, value: Any) -> str:
    if value is None:
        return "left out: null"
    if isinstance(value, str) and not value.strip():
        return "left out: blank"
    if value in ({}, []) and source == PROPERTIES:
        return "nothing in it"
    if source[:2] == ("data", "subscriber"):
        return "not sent: profile"
    return "not sent: unknown to the bridge"


def _sent(source: Path, target: Path, value: Any, got: Mapping[Path, Any]) -> str:
    said = []
    if source[:2] == PROPERTIES and target[0] == "context":
        said.append("into the context")
    name, new = _name(source), _name(target)
    if new != name and new.startswith("drip_"):
        said.append("drip_ in front, or it would be dropped or overwrite another")
    elif new != name:
        said.append("renamed")
    if isinstance(value, str) and got[target] == value.strip() != value:
        said.append("trimmed")
    elif type(got[target]) is not type(value):
        said.append("as text")
    elif got[target] != value:
        said.append("as Segment writes it")
    return ", ".join(said) or "as it is"


def _name(path: Path) -> str:
    """The one that the translation may change: a property's, not those within its value."""
    if path[0] == "properties":
        return str(path[1])
    return str(path[2] if path[:2] == PROPERTIES else path[-1])


def _added(path: Path) -> str:
    match path:
        case ("messageId",):
            return "a hash of what identifies the event: a repeat has the same"
        case ("timestamp",):
            return "when it was received, since Drip told no time"
        case ("integrations", *_):
            return "keeps it from going back to Drip"
        case _:
            return "added by the bridge"


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Each value that holds no other; an empty object or list is one too."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _leaves(below, (*path, name))
    elif isinstance(value, list) and value:
        for place, below in enumerate(value):
            yield from _leaves(below, (*path, place))
    else:
        yield path, value


def _dotted(path: Path) -> str:
    return "".join(map(_step, path)).removeprefix(".")


def _step(name: str | int) -> str:
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if re.fullmatch(r"[\w() -]+", name) else f"[{json.dumps(name)}]"
