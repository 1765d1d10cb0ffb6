"""Options that say which events a command is about, the same for each command."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from app.bridge import Bridge
from app.cli.common import destination_option, directions_to
from app.direction import Direction
from app.drip_to_segment.mapping import COLLECTIONS
from app.formatting import read_duration
from app.outbox.search import Wanted
from app.outbox.search_query import CHOICES

Command = TypeVar("Command", bound=Callable[..., Any])


class Moment(click.ParamType[float]):
    """A time in UTC, such as 2026-11-02, 2026-11-02T09:30, or so long ago: 90s, 15m, 1h, 7d."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return seconds since the epoch."""
        if isinstance(value, float):
            return value
        now = datetime.now(UTC).timestamp()
        if (ago := read_duration(value)) is not None:
            return now - ago
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail("is no time. Examples: 2026-11-02, 2026-11-02T09:30, 1h", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def selecting_options(command: Command) -> Command:
    """Add the options to a command, which gets their values for `to_wanted`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option(
        "--state",
        type=click.Choice(CHOICES),
        help="held: waits for a key; unidentified: for an address; dead: failed; quarantined: "
        "rejected, since it could not be read; dismissed: put aside.",
    ),
    click.option(
        "--reason", "reason_part", help="Any part of why it failed or waits, such as 400."
    ),
    click.option(
        "--collection",
        metavar="NAME",
        help="Segment's name (\"Email Opened\"), Drip's (subscriber.opened_email), or a call's "
        "type (identify).",
    ),
    click.option(
        "--email",
        prompt="Address",
        prompt_required=False,
        help="The person's address, in any case; asked for if only the option is given.",
    ),
    click.option("--account", help="The Drip account's id."),
    destination_option,
    click.option(
        "--since",
        type=Moment(),
        help="Received then or later, in UTC: 2026-11-02T09:30, or 1h for an hour ago.",
    ),
    click.option("--until", type=Moment(), help="Received before then."),
)


def to_wanted(
    bridge: Bridge, destination: str | None, collection: str | None, **filters: Any
) -> Wanted:
    """Return the search for the options' values. Raises `UsageError`."""
    directions = directions_to(bridge, destination)
    return Wanted(
        destination=destination,
        collection=collection and _to_collection(directions, collection),
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
