"""`replay`: post files of webhooks to the bridge, as Drip and Segment would."""

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from app.bridge import bridge_of, check_database
from app.cli.replay_files import STANDARD_INPUT, Posted, find_files, read_bodies
from app.cli.replay_sources import (
    OFF,
    Answer,
    Counts,
    FromDrip,
    FromSegment,
    Source,
    source_of,
    unwrap,
)
from app.errors import ConfigError
from app.formatting import join_reasons
from app.web import receiver


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True))
@click.option(
    "--source",
    type=click.Choice(["drip", "segment"]),
    help="Who sent the events. Without it, each event's shape says so.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Keep and send nothing; print one track call, or one request to Drip, a line.",
)
@with_appcontext
def replay(paths: tuple[str, ...], source: str | None, dry_run: bool) -> None:
    """Post the events of files (.json, .jsonl), folders, or "-" for standard input.

    They may be Drip's or Segment's. Each goes through its webhook, so one seen before is a
    duplicate. Ends with 1 if any was quarantined or refused, naming file, line and reason.
    """
    settings = bridge_of().settings
    sources: Mapping[str, Source] = {
        "drip": FromDrip(settings),
        "segment": FromSegment(settings),
    }
    answer_to = _translate if dry_run else _poster()
    counts: Counts = Counter()
    faults = 0
    for posted in _with_progress(find_files(paths)):
        body = unwrap(posted.body)
        sender = sources[source or source_of(body) or "drip"]
        with _quiet_webhook():
            answer = answer_to(sender, body, f"{posted.name}:{posted.line}")
        counts[sender.collection(body), answer["status"]] += 1
        if reason := _reason(answer):
            faults += 1
            click.echo(f"{posted.name}:{posted.line}: {answer['status']}: {reason}", err=True)
    for sender in sources.values():
        sender.end(counts)
    click.echo(_table(+counts), err=True)
    if faults or {status for _, status in counts} == {OFF}:
        raise SystemExit(1)


AnswerTo = Callable[[Source, bytes, str], Answer]


def _translate(source: Source, body: bytes, place: str) -> Answer:
    return source.translate(body, place)


def _poster() -> AnswerTo:
    try:
        check_database(bridge_of().settings)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    client = current_app.test_client()
    return lambda source, body, _: source.post(client, body)


@contextmanager
def _quiet_webhook() -> Iterator[None]:
    """Log nothing for each event: it would break the progress bar, and a table follows anyway."""
    log = logging.getLogger(receiver.__name__)
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(logging.NOTSET)


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


def _table(counts: Counts) -> str:
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
