"""Open the database for a command, and turn its errors into one message."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge, bridge_of, check_database
from app.database.engine import describe
from app.direction import Direction
from app.errors import ConfigError

DISK_FULL = ("disk is full", "No space left")
"""Parts of the error messages of SQLite and PostgreSQL."""


@contextmanager
def checked_database() -> Iterator[Bridge]:
    """Give the bridge once its database is known to be usable.

    Raises `ClickException` with one sentence if it is not, or if a statement fails later.
    """
    bridge = bridge_of()
    try:
        check_database(bridge.settings)
        yield bridge
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"DATABASE_URL: {_explain(error)}") from None


DESTINATIONS = ("segment", "drip")

destination_option = click.option(
    "--destination", type=click.Choice(DESTINATIONS), help="Only those that go there."
)


def directions_to(bridge: Bridge, destination: str | None) -> list[Direction]:
    """The direction to this destination, or all. Raises `UsageError` if it is off."""
    wanted = [each for each in bridge.directions if destination in (None, each.destination.name)]
    if not wanted:
        raise click.UsageError(f"This bridge sends nothing to {destination}.")
    return wanted


def _explain(error: SQLAlchemyError) -> str:
    message = describe(error)
    if any(text in message for text in DISK_FULL):
        message += ". Also to remove something takes some room: free 10 MB, and run it again"
    return message
