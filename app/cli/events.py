"""`events`: list kept events, or show one of them in full.

Events hold text from strangers, so whatever a terminal would interpret is escaped.
"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database
from app.drip_to_segment.mapping import COLLECTIONS
from app.formatting import (
    escape_undecodable,
    event_to_values,
    iso_time,
    join_reasons,
    printable,
    read_reasons,
)
from app.outbox.messages import Attempt, read_history
from app.outbox.search import Event, Search, State, Wanted

NAMES = {name: name for name in COLLECTIONS.values()} | dict(COLLECTIONS)
"""A collection, or Drip's name for it → the collection."""

REASON_CHARACTERS = 60
"""The most of an error that a line of the list shows."""


@click.command()
@click.argument("message_id", required=False)
@click.option("--state", type=click.Choice(get_args(State)), help="held: waits for a write key.")
@click.option(
    "--collection",
    type=click.Choice(list(NAMES), case_sensitive=False),
    metavar="NAME",
    help="Segment's name (\"Email Opened\") or Drip's (subscriber.opened_email).",
)
@click.option(
    "--email",
    prompt="Address",
    prompt_required=False,
    help="The person's address, in any case; asked for if only the option is given.",
)
@click.option("--account", help="The Drip account's id.")
@click.option(
    "--since",
    type=click.DateTime(),
    metavar="TIME",
    help="Received then or later, in UTC: 2026-11-02 or 2026-11-02T09:30:00.",
)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with every field.")
@with_appcontext
def events(message_id: str | None, limit: int, as_json: bool, **filters: Any) -> None:
    """List events, newest first, or show the one with MESSAGE_ID whole."""
    if message_id and any(value is not None for value in filters.values()):
        raise click.UsageError("MESSAGE_ID names one event: leave the other options out.")
    with checked_database() as bridge:
        segment = bridge.drip_to_segment.destination
        search = Search(bridge.engine, segment.name, segment.key_for)
        if message_id:
            event = _find(search, message_id)
            click.echo(_to_json(event) if as_json else _to_page(event))
            return
        show = _to_json if as_json else _to_line
        for event in search.find(_to_wanted(**filters), limit):
            click.echo(show(event))


def _find(search: Search, message_id: str) -> Event:
    event = search.one(message_id)
    if event is None:
        raise click.ClickException(
            "No event has this message id. List them with: flask --app wsgi events"
        )
    return event


def _to_wanted(collection: str | None, since: datetime | None, **filters: Any) -> Wanted:
    return Wanted(
        collection=collection and NAMES[collection],
        since=since.replace(tzinfo=UTC).timestamp() if since else None,
        **filters,
    )


def _to_line(event: Event) -> str:
    """Format an event as one line in columns, with "-" for what is not known."""
    columns = (
        f"{_time(event.received_at):20}",
        f"{event.state:11}",
        f"{event.collection or '-':20}",
        f"{_person(event):30}",
        f"{event.tries:>2}",
        event.message_id,
        _truncate(join_reasons(read_reasons(event.error))),
    )
    return printable("  ".join(columns).rstrip())


def _to_json(event: Event) -> str:
    """Write one event as one line of JSON, with every field."""
    return json.dumps(event_to_values(asdict(event), _to_isoformat))


def _to_page(event: Event) -> str:
    """Format all of an event: its state, what Drip sent, and what Segment gets."""
    due = event.due_at if event.state in ("pending", "held") else None
    lines = (
        f"message id  {event.message_id}",
        f"state       {event.state}",
        f"collection  {event.collection or '-'}",
        f"account     {event.account or '-'}",
        f"person      {_person(event)}",
        f"received    {_time(event.received_at)}",
        f"tries       {event.tries}",
        f"due         {_time(due)}",
        f"settled     {_time(event.settled_at)}",
        f"error       {join_reasons(read_reasons(event.error)) or '-'}",
        *(f"history     {_format_attempt(attempt)}" for attempt in read_history(event.history)),
    )
    return "\n".join(
        [
            *map(printable, lines),
            f"\nWhat Drip sent ({len(event.raw):,} bytes):\n",
            _format_body(event.raw),
            "\nWhat Segment gets:\n",
            "-" if event.payload is None else _format_json(json.loads(event.payload)),
        ]
    )


def _format_attempt(attempt: Attempt) -> str:
    return f"{_time(attempt.at)}  {attempt.reason} {attempt.words}".rstrip()


def _format_body(raw: bytes) -> str:
    if not raw:
        return "-"
    try:
        return _format_json(json.loads(raw))
    except (ValueError, RecursionError):
        return printable(escape_undecodable(raw), keep="\n")


def _format_json(value: Any) -> str:
    return printable(json.dumps(value, indent=2, ensure_ascii=False), keep="\n")


def _person(event: Event) -> str:
    """Return the address, or else the user id that Segment gets."""
    call = json.loads(event.payload) if event.payload else {}
    return str(event.email or call.get("userId", "-"))


def _truncate(text: str) -> str:
    return text if len(text) <= REASON_CHARACTERS else f"{text[: REASON_CHARACTERS - 1]}…"


def _to_isoformat(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def _time(at: float | None) -> str:
    return "-" if at is None else iso_time(at)
