"""`events`: list kept events, or show one of them in full."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, get_args

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database, destination_option, directions_to
from app.cli.event_text import EventText
from app.direction import Direction
from app.drip_to_segment.mapping import COLLECTIONS
from app.formatting import event_to_values
from app.outbox.search import Event, Search, State, Wanted


@click.command()
@click.argument("message_id", required=False)
@click.option(
    "--state",
    type=click.Choice(get_args(State)),
    help="held: waits for a key; unidentified: for an address.",
)
@click.option(
    "--collection",
    metavar="NAME",
    help="Segment's name (\"Email Opened\"), Drip's (subscriber.opened_email), or a call's type "
    "(identify).",
)
@click.option(
    "--email",
    prompt="Address",
    prompt_required=False,
    help="The person's address, in any case; asked for if only the option is given.",
)
@click.option("--account", help="The Drip account's id.")
@destination_option
@click.option(
    "--since",
    type=click.DateTime(),
    metavar="TIME",
    help="Received then or later, in UTC: 2026-11-02 or 2026-11-02T09:30:00.",
)
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
        directions = directions_to(bridge, destination)
        text = EventText(bridge)
        if message_id:
            event = _find(bridge.search, message_id, destination)
            click.echo(_to_json(event) if as_json else text.page(event))
            return
        show = _to_json if as_json else text.line
        wanted = _to_wanted(directions, destination=destination, **filters)
        for event in bridge.search.find(wanted, limit):
            click.echo(show(event))


def _find(search: Search, message_id: str, destination: str | None) -> Event:
    event = search.one(message_id, destination)
    if event is None:
        raise click.ClickException("No event has this message id. List them with: flask events")
    return event


def _to_wanted(
    directions: Sequence[Direction], collection: str | None, since: datetime | None, **filters: Any
) -> Wanted:
    return Wanted(
        collection=collection and _to_collection(directions, collection),
        since=since.replace(tzinfo=UTC).timestamp() if since else None,
        **filters,
    )


def _to_collection(directions: Sequence[Direction], name: str) -> str:
    """The collection with this name, or with this name of Drip's, in any case. Raises
    `UsageError` if there is none."""
    names = {one.lower(): one for each in directions for one in each.collections}
    names |= {theirs: ours for theirs, ours in COLLECTIONS.items() if ours in names.values()}
    if name.lower() not in names:
        raise click.UsageError(f"There is no such collection. There are: {', '.join(names)}.")
    return names[name.lower()]


def _to_json(event: Event) -> str:
    """Write one event as one line of JSON, with every field."""
    return json.dumps(event_to_values(asdict(event), _to_isoformat))


def _to_isoformat(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
