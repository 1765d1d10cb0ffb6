"""Files of webhooks → bodies, to the byte, each with the place it came from."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Posted:
    """One webhook's body as it stands in a file."""

    name: str
    line: int
    body: bytes


def find_files(paths: Iterable[str]) -> list[str]:
    """Folders become the `.json` and `.jsonl` files in them, sorted, at any depth."""
    found: list[str] = []
    for path in paths:
        if path != STANDARD_INPUT and Path(path).is_dir():
            inside = (p for p in Path(path).rglob("*") if p.suffix in (".json", ".jsonl"))
            found += sorted(str(p) for p in inside if p.is_file())
        else:
            found.append(path)
    return found


def read_bodies(name: str) -> Iterator[Posted]:
    """The events of one file. What cannot be told apart comes as one body, for the bridge to judge.

    `.jsonl` is read a line at a time, so its size is no limit. Standard input may be either.
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
    """One event, or the elements of an array, each as its own slice of the file."""
    try:
        text = content.decode("utf-8-sig")
        if not text.lstrip().startswith("["):
            raise ValueError("one event")  # noqa: TRY301
        slices = list(_elements(text))
    except ValueError:
        yield Posted(name, 1, content)
        return
    for line, element in slices:
        yield Posted(name, line, element.encode())


def _elements(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each element of a JSON array. Raises `ValueError` where it is none."""
    json.loads(text)
    decode = json.JSONDecoder().raw_decode
    position, line = text.index("[") + 1, 1
    line += text.count("\n", 0, position)
    while True:
        start = position
        while text[position] in " \t\r\n,":
            position += 1
        line += text.count("\n", start, position)
        if text[position] == "]":
            return
        _, end = decode(text, position)
        yield line, text[position:end]
        line += text.count("\n", position, end)
        position = end


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
