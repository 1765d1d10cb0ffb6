"""`requeue`: send dead events again, and read quarantined ones again."""

import time
from collections import Counter

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database
from app.drip_to_segment.destination import SegmentDestination
from app.formatting import pluralize
from app.outbox.batches import in_batches
from app.outbox.requeue import (
    WORDS,
    Outcome,
    Requeue,
)


@click.command()
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
@click.option("--dead", is_flag=True, help="All that were given up: send them again.")
@click.option("--quarantined", is_flag=True, help="All that could not be read: read them again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def requeue(message_ids: tuple[str, ...], dead: bool, quarantined: bool, yes: bool) -> None:
    """Give dead or quarantined events another go, with the ids they had.

    Ends with 1 if any was not found, was in another state, or still cannot be read.
    """
    if bool(message_ids) + dead + quarantined != 1:
        raise click.UsageError("Give --dead, --quarantined, or message ids: one of the three.")
    with checked_database() as bridge:
        requeue, now = bridge.drip_to_segment.requeue, time.time()
        if dead:
            _requeue_dead(requeue, now, yes)
        elif quarantined:
            _requeue_quarantined(requeue, now, yes)
        else:
            _requeue_named(requeue, message_ids, now, yes)


def _requeue_dead(requeue: Requeue, now: float, yes: bool) -> None:
    count = requeue.count("dead")
    if not count:
        click.echo("No event is dead.")
        return
    click.echo(f"To send again: {pluralize(count, 'event')}.")
    if old := requeue.count("dead", received_before=now - SegmentDestination.dedupe_window):
        _warn_of_repeats(old)
    _confirm(yes)
    requeued = sum(in_batches(lambda: requeue.requeue_some_dead(now)))
    click.echo(f"{pluralize(requeued, 'event')}: {WORDS['requeued']}.")


def _requeue_quarantined(requeue: Requeue, now: float, yes: bool) -> None:
    count = requeue.count("quarantined")
    if not count:
        click.echo("No event is in quarantine.")
        return
    click.echo(f"To read again: {pluralize(count, 'event')}.")
    _confirm(yes)
    _print_outcomes(requeue.requeue_quarantined(now, time.sleep))


def _requeue_named(requeue: Requeue, message_ids: tuple[str, ...], now: float, yes: bool) -> None:
    events = (requeue.find(message_id) for message_id in message_ids)
    dead_at = [event.received_at for event in events if event and event.state == "dead"]
    if old := sum(received_at < now - SegmentDestination.dedupe_window for received_at in dead_at):
        _warn_of_repeats(old)
        _confirm(yes)
    outcomes: Counter[Outcome] = Counter()
    for message_id in message_ids:
        outcome = requeue.requeue_one(message_id, now)
        outcomes[outcome] += 1
        click.echo(f"{message_id}: {WORDS[outcome]}.")
    _fail_if_any_is_left(outcomes)


def _warn_of_repeats(old: int) -> None:
    click.echo(
        f"Received more than 24 hours ago: {pluralize(old, 'event')}. Segment drops repeats "
        "for 24 hours only: one that it took after all will count twice."
    )


def _confirm(yes: bool) -> None:
    if not yes:
        click.confirm("Go on?", abort=True)


def _print_outcomes(outcomes: Counter[Outcome]) -> None:
    for outcome, count in outcomes.items():
        if outcome != "gone":  # another process has reported it
            click.echo(f"{pluralize(count, 'event')}: {WORDS[outcome]}.")
    _fail_if_any_is_left(outcomes)


def _fail_if_any_is_left(outcomes: Counter[Outcome]) -> None:
    if outcomes.keys() & {"unreadable", "unknown", "left alone"}:
        raise SystemExit(1)
