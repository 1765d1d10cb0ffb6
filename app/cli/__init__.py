"""`flask --app wsgi …`: a file a command."""

from click import Command

from app.cli.database import database
from app.cli.deliver import deliver
from app.cli.replay import replay
from app.cli.url import url

COMMANDS: tuple[Command, ...] = (deliver, replay, url, database)
