"""`requeue`: send dead events again, and read quarantined ones again."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database, destination_option, directions_to
from app.destination import Destination
from app.direction import Direction
from app.formatting import pluralize
from app.outbox.batches import in_batches
from app.outbox.repeats import drops_repeats, may_count_twice, received_before_window
from app.outbox.requeue import WORDS, Outcome


@click.command()
@click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
@click.option("--dead", is_flag=True, help="All that were given up: send them again.")
@click.option("--quarantined", is_flag=True, help="All that could not be read: read them again.")
@destination_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_appcontext
def requeue(
    message_ids: tuple[str, ...], dead: bool, quarantined: bool, destination: str | None, yes: bool
) -> None:
    """Give dead or quarantined events another go, with the ids they had.

    Ends with 1 if any was not found, was in another state, or still cannot be read.
    """
    if bool(message_ids) + dead + quarantined != 1:
        raise click.UsageError("Give --dead, --quarantined, or message ids: one of the three.")
    with checked_database() as bridge:
        directions, now = directions_to(bridge, destination), time.time()
        if dead:
            _requeue_dead(directions, now, yes)
        elif quarantined:
            _requeue_quarantined(directions, now, yes)
        else:
            _requeue_named(directions, message_ids, now, yes)


def _requeue_dead(directions: Sequence[Direction], now: float, yes: bool) -> None:
    count = sum(direction.requeue.count("dead") for direction in directions)
    if not count:
        click.echo("No event is dead.")
        return
    click.echo(f"To send again: {pluralize(count, 'event')}.")
    for direction in directions:
        destination = direction.destination
        if old := direction.requeue.count("dead", now - destination.dedupe_window):
            _warn_of_repeats(destination, old)
    _confirm(yes)
    requeued = sum(sum(_requeue_all_dead(direction, now)) for direction in directions)
    click.echo(f"{pluralize(requeued, 'event')}: {WORDS['requeued']}.")


def _requeue_all_dead(direction: Direction, now: float) -> Iterator[int]:
    return in_batches(lambda: direction.requeue.requeue_some_dead(now))


def _requeue_quarantined(directions: Sequence[Direction], now: float, yes: bool) -> None:
    count = sum(direction.requeue.count("quarantined") for direction in directions)
    if not count:
        click.echo("No event is in quarantine.")
        return
    click.echo(f"To read again: {pluralize(count, 'event')}.")
    _confirm(yes)
    outcomes: Counter[Outcome] = Counter()
    for direction in directions:
        outcomes += direction.requeue.requeue_quarantined(now, time.sleep)
    _print_outcomes(outcomes)


def _requeue_named(
    directions: Sequence[Direction], message_ids: Sequence[str], now: float, yes: bool
) -> None:
    """Requeue the messages with these ids, in each direction that has one."""
    repeats = [
        (direction.destination, old)
        for direction in directions
        if (old := _count_repeats(direction, message_ids, now))
    ]
    for destination, old in repeats:
        _warn_of_repeats(destination, old)
    if repeats:
        _confirm(yes)
    outcomes: Counter[Outcome] = Counter()
    for message_id in message_ids:
        known = [each for each in directions if each.requeue.find(message_id)] or directions[:1]
        for direction in known:
            outcome = direction.requeue.requeue_one(message_id, now)
            outcomes[outcome] += 1
            click.echo(f"{message_id}: {WORDS[outcome]}.")
    _fail_if_any_is_left(outcomes)


def _count_repeats(direction: Direction, message_ids: Sequence[str], now: float) -> int:
    """How many of these messages are dead and may count twice."""
    kept = (direction.requeue.find(message_id) for message_id in message_ids)
    return sum(
        may_count_twice(direction.destination, event.received_at, now)
        for event in kept
        if event and event.state == "dead"
    )


def _warn_of_repeats(destination: Destination, old: int) -> None:
    when = received_before_window(destination)
    which = f"Received {when}" if when else f"To {destination.labels.destination}"
    click.echo(f"{which}: {pluralize(old, 'event')}. {drops_repeats(destination)}")


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
