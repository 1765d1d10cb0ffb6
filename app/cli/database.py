"""`db upgrade`: migrate the database, before the processes of a new version start."""

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import bridge_of
from app.database.engine import describe
from app.database.schema import upgrade
from app.errors import ConfigError


@click.group("db")
def database() -> None:
    """Look after the database."""


@database.command("upgrade")
@with_appcontext
def upgrade_database() -> None:
    """Bring the database to this version's schema."""
    try:
        upgrade(bridge_of().engine)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except SQLAlchemyError as error:
        raise click.ClickException(f"DATABASE_URL: {describe(error)}") from None
    click.echo("The database has this version's schema.")
