"""What the commands share that change events: which ones, how many, and whether to go on."""

from collections.abc import Mapping
from typing import Any

import click

from app.bridge import Bridge
from app.cli.selecting import Command, selecting_options, to_wanted
from app.formatting import pluralize, printable
from app.outbox.search import Wanted


def changing_options(command: Command) -> Command:
    """Add message ids and options to a command. It gets those that select for `read_wanted`, and
    `dry_run` and `yes`."""
    for add in (
        click.option("--yes", is_flag=True, help="Skip the confirmation."),
        click.option("--dry-run", is_flag=True, help="Only count them."),
        selecting_options,
        click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]..."),
    ):
        command = add(command)
    return command


def read_wanted(bridge: Bridge, choice: Mapping[str, Any]) -> Wanted:
    """Return the search for what was given. Raises `UsageError` if that is nothing, or too much."""
    given = {name for name, value in choice.items() if value not in (None, ())} - {"destination"}
    if not given:
        raise click.UsageError(
            "Say which events: give message ids, or an option such as --state dead or --since 1h."
        )
    if "message_ids" in given and len(given) > 1:
        raise click.UsageError("Give message ids or options, not both.")
    return to_wanted(bridge, **{**choice, "message_ids": choice["message_ids"] or None})


def count_unknown(bridge: Bridge, wanted: Wanted) -> int:
    """Print the message ids that no event has. Returns how many those are."""
    unknown = [
        name
        for name in wanted.message_ids or ()
        if not bridge.search.named(name, wanted.destination)
    ]
    for name in unknown:
        click.echo(f"{printable(name)}: no event has this id.")
    return len(unknown)


def print_count(verb: str, count: int, is_whole: bool) -> bool:
    """Print how many events there are. Returns whether there may be any."""
    if not count and is_whole:
        click.echo(f"Nothing to {verb}.")
        return False
    more = "" if is_whole else " or more"
    click.echo(f"To {verb}: {pluralize(count, 'event')}{more}.")
    return True


def confirm(yes: bool) -> None:
    """Ask whether to go on, unless `yes`. Raises `Abort` if not."""
    if not yes:
        click.confirm("Go on?", abort=True)
