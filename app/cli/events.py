"""`events`: what is kept, and one event whole."""

from datetime import UTC, datetime
from typing import Any, get_args

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database
from app.cli.printed import event_to_json, event_to_line, event_to_page
from app.drip_to_segment.mapping import COLLECTIONS
from app.outbox.search import Event, Search, State, Wanted

NAMES = {name: name for name in COLLECTIONS.values()} | dict(COLLECTIONS)
"""A collection, or Drip's name for it → the collection."""


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
def events(message_id: str | None, limit: int, as_json: bool, **wanted: Any) -> None:
    """List events, newest first, or show the one with MESSAGE_ID whole."""
    if message_id and any(value is not None for value in wanted.values()):
        raise click.UsageError("MESSAGE_ID names one event: leave the other options out.")
    with checked_database() as bridge:
        search = Search(bridge.store.engine, bridge.segment.name, bridge.segment.key_for)
        if message_id:
            event = _one(search, message_id)
            click.echo(event_to_json(event) if as_json else event_to_page(event))
            return
        show = event_to_json if as_json else event_to_line
        for event in search.find(_to_wanted(**wanted), limit):
            click.echo(show(event))


def _one(search: Search, message_id: str) -> Event:
    event = search.one(message_id)
    if event is None:
        raise click.ClickException(
            "No event has this message id. List them with: flask --app wsgi events"
        )
    return event


def _to_wanted(collection: str | None, since: datetime | None, **wanted: Any) -> Wanted:
    return Wanted(
        collection=collection and NAMES[collection],
        since=since.replace(tzinfo=UTC).timestamp() if since else None,
        **wanted,
    )
