"""Make `flask --help` list the bridge's commands alone."""

import click
from flask.cli import FlaskGroup

ABOUT = (
    "These are the commands of the Drip-Segment bridge. make run, or gunicorn, starts the bridge "
    "itself."
)


def hide_flask_commands() -> None:
    """Leave Flask's own commands out of the help, without removing them."""
    context = click.get_current_context(silent=True)
    root = context.find_root().command if context else None
    if isinstance(root, FlaskGroup):
        for command in root.commands.values():
            command.hidden = True
        root.epilog = ABOUT
