"""`prune`: remove events whose retention time is over."""

import time
from datetime import UTC, datetime

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database


@click.command()
@click.option("--clock-is-right", is_flag=True, help="The bridge was off for more than a day.")
@with_appcontext
def prune(clock_is_right: bool) -> None:
    """Remove events older than SENT_RETENTION_DAYS and FAILED_RETENTION_DAYS.

    Those that wait to be sent are never removed.
    """
    now = time.time()
    with checked_database() as bridge:
        if clock_is_right:
            bridge.clock.believe(now)
        elif not bridge.clock.is_believed(now, time.monotonic()):
            raise click.ClickException(
                f"The clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}, more than a day from "
                "what the bridge last saw, so nothing was removed. If it is right: "
                "flask prune --clock-is-right"
            )
        pruned = bridge.pruning.run(now)
    counts = ", ".join(f"{count:,} {state}" for state, count in pruned.items())
    click.echo(f"Removed: {counts}." if counts else "Nothing was old enough to be removed.")
