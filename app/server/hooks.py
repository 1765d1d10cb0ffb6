"""What gunicorn calls, in its master and in its workers, as they start and end."""

import logging
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from app.bridge import check_database
from app.config.settings import Settings
from app.errors import ConfigError
from app.monitoring import metrics

MOST_CONNECTIONS = 4000

OTHER_FILES = 96
"""Descriptors that a worker needs besides its connections: for the database, counts and threads."""


def most_connections() -> int:
    """How many connections a worker may have. Accepting one more than the system lets it have files
    would fail, again and again; with this many, it lets the next wait."""
    most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, most_files - OTHER_FILES))


class NoAccessLog(Logger):  # type: ignore[misc]
    """It would print the URL, which carries the token, and the Basic user name. `accesslog = None`
    is overruled by GUNICORN_CMD_ARGS, with which Heroku's Python buildpack turns it on."""

    def access(self, *_: Any) -> None:
        """Nothing."""


def on_starting(settings: Settings) -> Callable[[Any], None]:
    """Make the hook that checks the database, in the master."""

    def check(server: Any) -> None:
        """Refuse to start once, in words, rather than once a worker with a traceback."""
        # at DEBUG gunicorn prints what it received
        server.log.error_log.setLevel(max(server.log.error_log.level, logging.INFO))
        metrics.remove_folders_of_the_dead()
        try:
            # an upgrade may take a minute: meanwhile there is somebody to answer 429
            check_database(settings, may_upgrade=False)
        except ConfigError as error:
            raise SystemExit(str(error)) from None

    return check


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """In the worker, as its first act."""
    _heed_stop(server)
    metrics.ensure_folder()


def _heed_stop(server: Any) -> None:
    """A worker begins with the master's handlers, which put a signal aside for the master: one that
    is told to stop before it has its own would go on until it is killed."""
    told = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    for signum in told:
        signal.signal(signum, lambda *_: sys.exit(0))
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get() in told:
            sys.exit(0)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """In the worker, as its last act: let the deliverer settle the batch in hand."""
    worker.join_beside()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """In the master, however the worker ended. What it counted stays."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """All is done: a signal that comes again does not make it a failure."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
