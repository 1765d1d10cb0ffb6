"""`events`: list kept events, or show one of them in full."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database
from app.cli.event_text import EventText
from app.cli.selecting import selecting_options, to_wanted
from app.formatting import event_to_values
from app.outbox.search import Event, Search


@click.command()
@click.argument("message_id", required=False)
@selecting_options
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every field.")
@with_appcontext
def events(
    message_id: str | None, destination: str | None, limit: int, as_json: bool, **filters: Any
) -> None:
    """List events, newest first, or show the one with MESSAGE_ID whole."""
    if message_id and any(value is not None for value in filters.values()):
        raise click.UsageError("MESSAGE_ID names one event: leave the other options out.")
    with checked_database() as bridge:
        text = EventText(bridge, time.time())
        if message_id:
            event = _find(bridge.search, message_id, destination)
            click.echo(_to_json(event) if as_json else text.page(event))
            return
        wanted = to_wanted(bridge, destination=destination, **filters)
        found = bridge.search.find(wanted, limit)
        for line in map(_to_json, found) if as_json else _to_lines(text, found):
            click.echo(line)


def _to_lines(text: EventText, found: Iterator[Event]) -> Iterator[str]:
    """Yield a line for each event, and a header before the first."""
    first = next(found, None)
    if first is None:
        click.echo("No event matches.", err=True)
        return
    yield text.header()
    yield text.line(first)
    yield from map(text.line, found)


def _find(search: Search, message_id: str, destination: str | None) -> Event:
    event = search.one(message_id, destination)
    if event is None:
        raise click.ClickException("No event has this message id. List them with: flask events")
    return event


def _to_json(event: Event) -> str:
    """Write one event as one line of JSON, with every field."""
    return json.dumps(event_to_values(asdict(event), _to_isoformat))


def _to_isoformat(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
