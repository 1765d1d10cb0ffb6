"""`replay`: post files of webhooks to the bridge, as Drip would."""

import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from app.bridge import bridge_of, check_database
from app.drip_to_segment.translate import translate
from app.errors import ConfigError
from app.formatting import join_reasons
from app.json_elements import elements
from app.outbox.messages import Ignored
from app.web import receiver

STANDARD_INPUT = "-"


@dataclass(frozen=True)
class Posted:
    """One webhook's body, and where it stands in a file."""

    name: str
    line: int
    body: bytes


NO_COLLECTION = "(no collection)"

Answer = Mapping[str, Any]
"""What the webhook answers: `status`, and `errors` by field if it is quarantined."""


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Keep and send nothing; print one track call a line.")
@with_appcontext
def replay(paths: tuple[str, ...], dry_run: bool) -> None:
    """Post the events of files (.json, .jsonl), folders, or "-" for standard input.

    Each goes through the webhook, so one seen before is a duplicate. Ends with 1 if any was
    quarantined or refused, naming file, line and reason.
    """
    answer_to = _translate if dry_run else _poster()
    counts: Counter[tuple[str, str]] = Counter()
    faults = 0
    for posted in _with_progress(find_files(paths)):
        with _quiet_webhook():
            answer = answer_to(posted.body)
        counts[_collection(posted.body), answer["status"]] += 1
        if reason := _reason(answer):
            faults += 1
            click.echo(f"{posted.name}:{posted.line}: {answer['status']}: {reason}", err=True)
    click.echo(_table(counts), err=True)
    if faults:
        raise SystemExit(1)


def _translate(body: bytes) -> Answer:
    message = translate(body, time.time())
    if isinstance(message, Ignored):
        return {"status": "ignored"}
    if message.payload is None:
        return {"status": "quarantined", "errors": message.errors}
    click.echo(message.payload)
    return {"status": "translated"}


def _poster() -> Callable[[bytes], Answer]:
    settings = bridge_of().settings
    try:
        check_database(settings)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    client = current_app.test_client()
    secret = ("", settings.webhook_tokens[0])

    def post(body: bytes) -> Answer:
        answer: Answer = client.post("/webhooks/drip", data=body, auth=secret).get_json()
        return answer

    return post


@contextmanager
def _quiet_webhook() -> Iterator[None]:
    """Log nothing for each event: it would break the progress bar, and a table follows anyway."""
    log = logging.getLogger(receiver.__name__)
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)


def _collection(body: bytes) -> str:
    message = translate(body, 0.0)
    return (not isinstance(message, Ignored) and message.collection) or NO_COLLECTION


def _reason(answer: Answer) -> str:
    errors: Mapping[str, list[str]] = answer.get("errors", {})
    reasons = ((field, " ".join(messages)) for field, messages in errors.items())
    return join_reasons(reasons) or answer.get("error", "")


def _with_progress(names: list[str]) -> Iterator[Posted]:
    """Yield the bodies of the files, with a progress bar on a terminal."""
    size = sum(Path(name).stat().st_size for name in names if name != STANDARD_INPUT)
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=size, label="Replaying", file=sys.stderr, hidden=hidden) as bar:
        for name in names:
            for posted in read_bodies(name):
                yield posted
                bar.update(len(posted.body))


def _table(counts: Counter[tuple[str, str]]) -> str:
    """Format the counts as a table: a row for each collection, a column for each status."""
    if not counts:
        return "No events found."
    statuses = sorted({status for _, status in counts})
    collections = sorted({collection for collection, _ in counts})
    width = max(map(len, collections))
    lines = ["  ".join([" " * width, *statuses])]
    for collection in collections:
        cells = [str(counts[collection, status]).rjust(len(status)) for status in statuses]
        lines.append("  ".join([collection.ljust(width), *cells]))
    return "\n".join(lines)


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
