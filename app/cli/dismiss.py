"""`dismiss`: put aside events that failed, so that they no longer count as issues."""

import time
from typing import Any

import click
from flask.cli import with_appcontext

from app.cli.changing import changing_options, confirm, count_unknown, print_count, read_wanted
from app.cli.common import checked_database
from app.formatting import pluralize


@click.command()
@changing_options
@with_appcontext
def dismiss(dry_run: bool, yes: bool, **choice: Any) -> None:
    """Put aside events that failed, expired or were rejected.

    They no longer count as issues. They are kept until their retention ends: list them with
    flask events --state dismissed. A retry takes one back.

    Give message ids, or options that say which: --state quarantined, or --reason workflow. They are
    counted before you confirm. Ends with 1 if an id is unknown.
    """
    with checked_database() as bridge:
        wanted = read_wanted(bridge, choice)
        unknown = count_unknown(bridge, wanted)
        is_any = print_count("dismiss", *bridge.bulk.count_dismissible(wanted))
        if is_any and not dry_run:
            confirm(yes or wanted.message_ids is not None)
            dismissed = bridge.bulk.dismiss(wanted, time.time())
            click.echo(f"{pluralize(dismissed, 'event')} dismissed.")
    if unknown:
        raise SystemExit(1)
