"""What every command over the outbox begins with, and how it tells what goes wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge, bridge_of, check_database
from app.database.engine import describe
from app.errors import ConfigError

FULL = ("disk is full", "No space left")
"""In the words of either engine."""


@contextmanager
def checked_database() -> Iterator[Bridge]:
    """The bridge, over a database fit to work with. Raises `ClickException`: one sentence."""
    bridge = bridge_of()
    try:
        check_database(bridge.settings)
        yield bridge
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"DATABASE_URL: {_to_words(error)}") from None


def _to_words(error: SQLAlchemyError) -> str:
    said = describe(error)
    if any(full in said for full in FULL):
        said += ". Also to remove something takes some room: free 10 MB, and run it again"
    return said
