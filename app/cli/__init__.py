"""The commands of `flask`, one in each file."""

from click import Command

from app.cli.database import database
from app.cli.deliver import deliver
from app.cli.drip import drip_commands
from app.cli.erase import erase
from app.cli.events import events
from app.cli.prune import prune
from app.cli.replay import replay
from app.cli.requeue import requeue
from app.cli.url import url

COMMANDS: tuple[Command, ...] = (
    *(deliver, replay, url, drip_commands, database),
    *(events, requeue, erase, prune),
)
