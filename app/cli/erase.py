"""`erase`: delete a person's data, when they ask for it."""

from collections import Counter

import click
from flask.cli import with_appcontext

from app.cli.common import checked_database
from app.database.exclusive import InUse
from app.outbox.address_matcher import is_address
from app.outbox.erasure import Erasure
from app.warehouse.failure import WarehouseFailed
from app.warehouse.load import Loader


@click.command()
@click.argument("email", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--vacuum", is_flag=True, help="Rewrite an SQLite file, however large it is.")
@with_appcontext
def erase(email: str | None, yes: bool, vacuum: bool) -> None:
    """Erase every trace of the person with the address EMAIL, in events of any state.

    Without EMAIL it is asked for, or read from a pipe: command lines stay in the shell's history,
    in lists of processes, and in the logs of platforms that run them.

    Of the person's events stays that they were here, so that a re-send does not bring them back.
    Other people's events that mention EMAIL stay, and lose what mentions it. Segment and Drip keep
    what they were sent, and so do backups. A warehouse (WAREHOUSE_URL) loses the person too.
    PostgreSQL's files keep the old rows, unreachable, until VACUUM FULL of the tables events and
    bodies, and its write-ahead log until that is recycled.
    """
    address = (email or click.prompt("Address", err=True)).strip()
    if not is_address(address):
        raise click.UsageError("EMAIL must be a whole address: ana@example.com")
    with checked_database() as bridge:
        warehouse = bridge.warehouse.erasures if bridge.warehouse else None
        erasure = Erasure(bridge.engine, address, warehouse=warehouse)
        click.echo("Looking through every event; of a million, this may take minutes.", err=True)
        counts = erasure.look()
        if counts or erasure.others:
            _confirm(counts, len(erasure.others), yes)
            click.echo(f"Erased: {_by_state(erasure.erase())}.")
        else:
            click.echo("No event has this address in it.")
            if warehouse and not yes:
                click.confirm("Erase the person in the warehouse for good?", abort=True)
            if erasure.forget():
                click.echo("What was remembered of the person is deleted.")
        remains = _erase_in_warehouse(bridge.warehouse) if bridge.warehouse else ""
        _finish(erasure, vacuum)
        if remains:
            raise click.ClickException(remains)


def _erase_in_warehouse(loader: Loader) -> str:
    """Returns what remains to be done, or ""."""
    try:
        loader.erase()
    except InUse:
        return "Not erased in the warehouse yet: the load that is running now does it at its end."
    except WarehouseFailed as error:
        return (
            f"Not erased in the warehouse: {error}. The address is kept until the next load that "
            "reaches it has erased the person: flask warehouse load"
        )
    click.echo("Erased in the warehouse too.")
    return ""


def _confirm(counts: Counter[str], others: int, yes: bool) -> None:
    click.echo(f"To erase: {_by_state(counts)}.")
    if unsent := counts["pending"]:
        click.echo(f"Not sent yet, and then never to be sent: {unsent:,}.")
    if unread := counts["quarantined"]:
        click.echo(f"Webhooks that could not be read, to go with all who are in them: {unread:,}.")
    if others:
        click.echo(f"Other people's, to be kept without what mentions the address: {others:,}.")
    if not yes:
        click.confirm("Erase for good?", abort=True)


def _finish(erasure: Erasure, vacuum: bool) -> None:
    """Overwrite what was deleted, also by an earlier run that was stopped before this point."""
    if erasure.left:
        raise click.ClickException(f"{erasure.left:,} are locked by another process: run it again.")
    if remains := erasure.overwrite(also_large=vacuum):
        raise click.ClickException(remains)


def _by_state(counts: Counter[str]) -> str:
    if not counts:
        return "none"
    listed = ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items()))
    return f"{counts.total():,} ({listed})"
