"""Find the events in files of webhooks, each as it stands in its file."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app.json_elements import elements

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Posted:
    """One webhook's body, and where it stands in a file."""

    name: str
    line: int
    body: bytes


def find_files(paths: Iterable[str]) -> list[str]:
    """Replace folders with the `.json` and `.jsonl` files in them, sorted, at any depth."""
    files: list[str] = []
    for path in paths:
        if path != STANDARD_INPUT and Path(path).is_dir():
            inside = (p for p in Path(path).rglob("*") if p.suffix in (".json", ".jsonl"))
            files += sorted(str(p) for p in inside if p.is_file())
        else:
            files.append(path)
    return files


def read_bodies(name: str) -> Iterator[Posted]:
    """Yield the events of one file. What is not JSON is yielded whole, for the bridge to judge.

    `.jsonl` is read line by line, so it may be of any size. All else may have either format.
    """
    if name == STANDARD_INPUT:
        content = sys.stdin.buffer.read()
        yield from (
            _values(name, content) if _is_json(content) else _lines(name, content.splitlines())
        )
    elif name.endswith(".jsonl"):
        with Path(name).open("rb") as file:
            yield from _lines(name, file)
    else:
        yield from _values(name, Path(name).read_bytes())


def _lines(name: str, lines: Iterable[bytes]) -> Iterator[Posted]:
    for number, line in enumerate(map(bytes.strip, lines), start=1):
        text = _decoded(line)
        if slices := _cut(text):
            yield from _elements(name, text, slices, number)
        elif line:
            yield Posted(name, number, line)


def _values(name: str, content: bytes) -> Iterator[Posted]:
    """Yield one event, the elements of an array, or the events of lines, each as it stands in the
    file."""
    text = _decoded(content)
    slices = _cut(text)
    if slices is not None:
        yield from _elements(name, text, slices)
    elif _begins_with_a_line_of_json(content):
        yield from _lines(name, content.splitlines())
    else:
        yield Posted(name, 1, content)


def _elements(
    name: str, text: str, slices: Iterable[tuple[int, int]], line: int = 1
) -> Iterator[Posted]:
    """Yield the elements of an array that begins in this line of the file."""
    position = 0
    for begin, end in slices:
        line += text.count("\n", position, begin)
        position = begin
        yield Posted(name, line, text[begin:end].encode(errors="surrogateescape"))


def _cut(text: str) -> list[tuple[int, int]] | None:
    """Where the elements of an array are; None if it is no array."""
    try:
        return list(elements(text))
    except ValueError:
        return None


def _decoded(content: bytes) -> str:
    """The text. Bytes that are not UTF-8 come out as they were when it is encoded again."""
    return content.decode(errors="surrogateescape")


def _begins_with_a_line_of_json(content: bytes) -> bool:
    """Whether a whole event, or an array of them, stands in the first line, and more follows."""
    first, _, rest = content.strip().partition(b"\n")
    # letters that are not UTF-8 are for the bridge to judge
    return bool(rest) and first[:1] in (b"{", b"[") and _is_json(first.decode(errors="replace"))


def _is_json(content: bytes | str) -> bool:
    try:
        json.loads(content)
    except (ValueError, RecursionError):
        return False
    return True
