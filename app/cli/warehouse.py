"""`warehouse load`: load kept events into the warehouse. `warehouse report`: rates by email."""

import os
import sys
from time import sleep
from typing import Any

import click
from flask.cli import with_appcontext
from marshmallow import ValidationError

from app.bridge import Bridge, bridge_of
from app.cli.common import checked_database
from app.config.warehouse_fields import Duration
from app.database.exclusive import InUse
from app.warehouse.failure import WarehouseFailed
from app.warehouse.load import Loader
from app.warehouse.report import read_report, report_to_lines

NOT_SET = "WAREHOUSE_URL is not set: nothing is loaded. Example: duckdb:///warehouse.duckdb"


class Every(click.ParamType[float]):
    """A span of time such as 10m."""

    name = "time"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        try:
            return float(Duration().deserialize(value))
        except ValidationError as error:
            self.fail(error.messages[0], param, ctx)


@click.group("warehouse")
def warehouse_commands() -> None:
    """Keep each event as a row in a database of your own."""


@warehouse_commands.command()
@click.option("--every", type=Every(), help="Go on, and load again so often, such as 10m.")
@click.option(
    "--again", is_flag=True, help="Load all that is kept, also what was loaded: it was lost there."
)
@with_appcontext
def load(every: float | None, again: bool) -> None:
    """Load the events that have come since last time into WAREHOUSE_URL, and end.

    Each is there once, however often this is run and wherever it is interrupted.
    """
    os.nice(5)  # it can wait, and what serves webhooks cannot
    with checked_database() as bridge:
        loader = _loader(bridge)
        if again:
            loader.loads.start_over()
        _load(loader, is_last=every is None)
        while every is not None:
            sleep(every)
            _load(loader, is_last=False)


@warehouse_commands.command()
@with_appcontext
def report() -> None:
    """Show what became of the newest emails: how many people opened, clicked, bounced and so on."""
    target = _loader(bridge_of()).target
    try:
        emails = read_report(target)
    except WarehouseFailed as error:
        raise click.ClickException(f"Not read: {error}. The log has more.") from None
    click.echo("\n".join(report_to_lines(emails)) if emails else "Nothing is loaded yet.")


def _loader(bridge: Bridge) -> Loader:
    if bridge.warehouse is None:
        raise click.ClickException(NOT_SET)
    return bridge.warehouse


def _load(loader: Loader, *, is_last: bool) -> None:
    """Load once. Raises `ClickException` if that failed, unless it is tried again later."""
    try:
        count = _with_progress(loader) if sys.stderr.isatty() else loader.run()
    except InUse:
        click.echo("Another process is loading.")
    except WarehouseFailed as error:
        message = f"Not loaded: {error}. The log has more; what was loaded until then stays."
        if is_last:
            raise click.ClickException(message) from None
        click.echo(message, err=True)
    else:
        click.echo(f"Loaded: {count:,}.")


def _with_progress(loader: Loader) -> int:
    total = sum(map(loader.loads.count, loader.target.destinations))
    with click.progressbar(length=total, label="Loading", file=sys.stderr) as bar:
        return loader.run(bar.update)
