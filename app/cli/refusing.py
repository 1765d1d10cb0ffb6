"""The commands if a setting is wrong: only `setup` runs, and the others say what is wrong."""

import click
from flask import Flask
from flask.cli import AppGroup, FlaskGroup

from app.cli.help import hide_flask_commands
from app.cli.setup import setup
from app.errors import ConfigError


class RefusingGroup(AppGroup):
    """A group that has `setup`, and reports an error in place of any other command."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__()
        self._error = error
        self.add_command(setup)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return `setup`, or end with the error."""
        command = super().get_command(ctx, cmd_name)
        if command is None:
            raise SystemExit(str(self._error))
        return command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List `setup`, for the help, after the error."""
        click.echo(self._error, err=True)
        return super().list_commands(ctx)


def is_command_wanted() -> bool:
    """Whether `flask` loads the app to look for one of its commands, and not to serve it."""
    context = click.get_current_context(silent=True)
    return context is not None and isinstance(context.command, FlaskGroup)


def create_refusing_app(error: ConfigError) -> Flask:
    """Create an app that has nothing but these commands."""
    app = Flask(__name__)
    app.cli = RefusingGroup(error)
    hide_flask_commands()
    return app
