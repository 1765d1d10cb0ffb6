"""`deliver`: the delivery loop as a process of its own."""

import signal

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import bridge_of, check_database
from app.delivery import Delivery
from app.errors import CannotStart
from app.outbox.engine import describe


@click.command()
@click.option("--once", is_flag=True, help="Send what is due now, say what became of it, and end.")
@with_appcontext
def deliver(once: bool) -> None:
    """Send kept events to Segment until told to stop (SIGTERM or Ctrl-C)."""
    bridge = bridge_of()
    try:
        check_database(bridge.settings)
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    if once:
        _deliver_once(bridge.delivery)
    else:
        _deliver_until_told(bridge.delivery)


def _deliver_once(delivery: Delivery) -> None:
    try:
        delivery.drain()
    except SQLAlchemyError as error:
        raise click.ClickException(f"DATABASE_URL: {describe(error)}") from None
    found = ", ".join(f"{count} {outcome}" for outcome, count in delivery.outcomes.items())
    click.echo(found or "Nothing was due.")
    if delivery.outcomes.keys() - {"sent"}:
        raise SystemExit(1)


def _deliver_until_told(delivery: Delivery) -> None:
    # in a thread, so that the signal never interrupts a statement of the loop
    running = delivery.start()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: delivery.stop())
    running.join()
    # Python would give both their default back at its end, and a second one make that a failure
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, signal.SIG_IGN)
