"""`retry`: try events again now."""

import time
from typing import Any

import click
from flask.cli import with_appcontext

from app.bridge import Bridge
from app.cli.changing import changing_options, confirm, count_unknown, print_count, read_wanted
from app.cli.common import checked_database
from app.formatting import pluralize
from app.outbox.outcomes import WORDS
from app.outbox.repeats import drops_repeats, received_before_window
from app.outbox.search import Wanted


@click.command()
@changing_options
@with_appcontext
def retry(dry_run: bool, yes: bool, **choice: Any) -> None:
    """Try events again now.

    Failed and expired events become due, with the same id. Rejected webhooks are read again, by
    the rules of this version. Events that failed before and wait for a later try become due now.
    All others stay as they are.

    Give message ids, or options that say which: --state dead, or --reason 400 --since 1h. They are
    counted before you confirm. Ends with 1 if an id is unknown or a webhook still cannot be read.
    """
    with checked_database() as bridge:
        now, wanted = time.time(), read_wanted(bridge, choice)
        unknown = count_unknown(bridge, wanted)
        is_any = print_count("retry", *bridge.bulk.count_retriable(wanted, now))
        may_repeat = is_any and _warn_of_repeats(bridge, wanted, now)
        is_left = False
        if is_any and not dry_run:
            # one that was named, and counts once, needs no question
            confirm(yes or (wanted.message_ids is not None and not may_repeat))
            is_left = _retry(bridge, wanted, now)
    if unknown or is_left:
        raise SystemExit(1)


def _warn_of_repeats(bridge: Bridge, wanted: Wanted, now: float) -> bool:
    """Print how many events may count twice, if any. Returns whether there are any."""
    may_repeat = False
    for direction in bridge.directions:
        destination = direction.destination
        if old := bridge.bulk.count_repeatable(wanted, destination, now):
            when = received_before_window(destination)
            which = f"Received {when}" if when else f"To {destination.labels.destination}"
            click.echo(f"{which}: {pluralize(old, 'event')}. {drops_repeats(destination)}")
            may_repeat = True
    return may_repeat


def _retry(bridge: Bridge, wanted: Wanted, now: float) -> bool:
    """Retry them, and print what became of them. Returns whether any still cannot be read."""
    outcomes = bridge.bulk.retry(wanted, now)
    for outcome, count in outcomes.items():
        if outcome != "gone":  # another process has reported it
            click.echo(f"{pluralize(count, 'event')}: {WORDS[outcome]}.")
    return "unreadable" in outcomes
