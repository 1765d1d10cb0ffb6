"""`deliver`: run the delivery loop in a process of its own."""

import os
import signal
import sys
import threading
from contextlib import suppress

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge
from app.cli.common import checked_database
from app.config.summary import summary
from app.logs import get_logger

log = get_logger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@click.command()
@click.option("--once", is_flag=True, help="Send what is due now, say what became of it, and end.")
@click.option(
    "--until-end-of-input",
    is_flag=True,
    hidden=True,
    help="End when standard input does, which means that the process that started it is gone.",
)
@with_appcontext
def deliver(once: bool, until_end_of_input: bool) -> None:
    """Send kept events to Segment and to Drip until told to stop (SIGTERM or Ctrl-C)."""
    with checked_database() as bridge:
        if until_end_of_input:
            # the web process has priority: who posts waits for its answer, but events can wait
            os.nice(5)
            threading.Thread(target=_wait_for_end, args=(bridge,), daemon=True).start()
        if once:
            _deliver_once(bridge)
        else:
            _deliver_until_stopped(bridge)


def _deliver_once(bridge: Bridge) -> None:
    outcomes = bridge.deliver_due()
    counts = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
    click.echo(counts or "Nothing was due.")
    if outcomes.keys() - {"sent"}:
        raise SystemExit(1)


def _wait_for_end(bridge: Bridge) -> None:
    # os.read, because Python's buffered reader would hold its lock when the process ends
    while os.read(sys.stdin.fileno(), 1024):
        pass
    bridge.stop_delivery()


def _deliver_until_stopped(bridge: Bridge) -> None:
    def stop(*_: object) -> None:
        _ignore_signals()  # a second signal would interrupt this handler, which holds a lock
        bridge.stop_delivery()

    # set first, because a batch may be in hand a moment after the start
    for signum in SIGNALS:
        signal.signal(signum, stop)
    # in threads, so that a signal never interrupts a statement of the loop
    log.info("deliverer starting", **summary(bridge.settings))
    running = bridge.start_delivery()
    bridge.start_watch()
    for thread in running:
        thread.join()
    with suppress(SQLAlchemyError):
        bridge.heartbeat.end()
    # at its end Python restores the default handlers, and a second signal would look like a failure
    _ignore_signals()


def _ignore_signals() -> None:
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
