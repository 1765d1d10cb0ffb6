"""What every command over the outbox begins with, and how it tells what goes wrong there."""

from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge, bridge_of, check_database
from app.errors import CannotStart
from app.outbox.engine import describe


@contextmanager
def checked_database() -> Iterator[Bridge]:
    """The bridge, over a database fit to work with. Raises `ClickException`: one sentence."""
    bridge = bridge_of()
    try:
        check_database(bridge.settings)
        yield bridge
    except CannotStart as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"DATABASE_URL: {describe(error)}") from None
