"""`prune`: events that ended long ago go."""

import time

import click
from flask.cli import with_appcontext

from app.cli.checked_database import checked_database


@click.command()
@with_appcontext
def prune() -> None:
    """Remove events older than SENT_RETENTION_DAYS and FAILED_RETENTION_DAYS.

    Those that wait to be sent are never removed.
    """
    with checked_database() as bridge:
        pruned = bridge.pruning.run(time.time())
    found = ", ".join(f"{count:,} {state}" for state, count in pruned.items())
    click.echo(f"Removed: {found}." if found else "Nothing was old enough to be removed.")
