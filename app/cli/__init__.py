"""The commands of `flask`, one in each file."""

from click import Command
from flask import Flask

from app.cli.database import database
from app.cli.deliver import deliver
from app.cli.dismiss import dismiss
from app.cli.drip import drip_commands
from app.cli.erase import erase
from app.cli.events import events
from app.cli.help import hide_flask_commands
from app.cli.mapping import mapping_commands
from app.cli.prune import prune
from app.cli.replay import replay
from app.cli.retry import retry
from app.cli.setup import setup
from app.cli.status import status
from app.cli.url import url
from app.cli.warehouse import warehouse_commands

COMMANDS: tuple[Command, ...] = (
    *(deliver, replay, url, drip_commands, mapping_commands, database),
    *(status, events, retry, dismiss, erase, prune, setup, warehouse_commands),
)


def add_commands(app: Flask) -> None:
    """Give the app its commands."""
    for command in COMMANDS:
        app.cli.add_command(command)
    hide_flask_commands()
