"""`replay`: files of webhooks through the bridge, as if Drip had posted them."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from app.bridge import bridge_of, check_database
from app.cli.event_files import STANDARD_INPUT, Posted, find_files, read_bodies
from app.errors import CannotStart
from app.outbox.messages import Ignored
from app.source import webhook
from app.source.translate import translate

NO_COLLECTION = "(no collection)"

Answer = Mapping[str, Any]
"""What the webhook answers: `status`, and `errors` by field where it is quarantined."""


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
    seen: Counter[tuple[str, str]] = Counter()
    faults = 0
    for posted in _with_progress(find_files(paths)):
        with _quiet_webhook():
            answer = answer_to(posted.body)
        seen[_collection(posted.body), answer["status"]] += 1
        if reason := _reason(answer):
            faults += 1
            click.echo(f"{posted.name}:{posted.line}: {answer['status']}: {reason}", err=True)
    click.echo(_table(seen), err=True)
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
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    client = current_app.test_client()
    secret = ("", settings.webhook_tokens[0])

    def post(body: bytes) -> Answer:
        answer: Answer = client.post("/webhooks/drip", data=body, auth=secret).get_json()
        return answer

    return post


@contextmanager
def _quiet_webhook() -> Iterator[None]:
    """Its line an event would break the progress bar, and the closing table tells the same."""
    log = logging.getLogger(webhook.__name__)
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
    by_field = [f"{field}: {' '.join(messages)}" for field, messages in errors.items()]
    return "; ".join(by_field) or answer.get("error", "")


def _with_progress(names: list[str]) -> Iterator[Posted]:
    """The bodies of the files, with a bar where somebody watches."""
    size = sum(Path(name).stat().st_size for name in names if name != STANDARD_INPUT)
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=size, label="Replaying", file=sys.stderr, hidden=hidden) as bar:
        for name in names:
            for posted in read_bodies(name):
                yield posted
                bar.update(len(posted.body))


def _table(seen: Counter[tuple[str, str]]) -> str:
    """A line a collection, a column a status."""
    if not seen:
        return "No events found."
    statuses = sorted({status for _, status in seen})
    collections = sorted({collection for collection, _ in seen})
    width = max(map(len, collections))
    lines = ["  ".join([" " * width, *statuses])]
    for collection in collections:
        counts = [str(seen[collection, status]).rjust(len(status)) for status in statuses]
        lines.append("  ".join([collection.ljust(width), *counts]))
    return "\n".join(lines)
