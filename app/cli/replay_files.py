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

    `.jsonl` is read line by line, so it may be of any size. Standard input may have either format.
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
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield Posted(name, number, line.strip())


def _values(name: str, content: bytes) -> Iterator[Posted]:
    """Yield one event, or the elements of an array, each as it stands in the file."""
    try:
        text = content.decode("utf-8-sig")
        slices = list(elements(text))
    except ValueError:  # one event, or not to be read
        yield Posted(name, 1, content)
        return
    line, position = 1, 0
    for begin, end in slices:
        line += text.count("\n", position, begin)
        position = begin
        yield Posted(name, line, text[begin:end].encode())


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
