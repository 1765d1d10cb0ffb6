"""Hooks that gunicorn calls when its master and its workers start and end."""

import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from app.bridge import check_database
from app.config.listening import check_port_is_free, explain, port_of
from app.config.settings import Settings
from app.config.summary import summary
from app.errors import ConfigError
from app.logs import get_logger
from app.monitoring import metrics

log = get_logger(__name__)

MOST_CONNECTIONS = 4000

OTHER_FILES = 96
"""File descriptors that a worker needs besides connections: for the database, metrics, threads."""


def most_connections() -> int:
    """Return how many connections a worker may have.

    Accepting more than the limit on open files allows would fail again and again. With this limit,
    further clients wait in the backlog.
    """
    most_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most_files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(16, min(MOST_CONNECTIONS, most_files - OTHER_FILES))


class NoAccessLog(Logger):  # type: ignore[misc]
    """gunicorn's logger without its access log, which would print the token in the URL.

    `accesslog = None` is not enough: Heroku's Python buildpack turns it on by GUNICORN_CMD_ARGS,
    which overrides it.
    """

    def access(self, *_: Any) -> None:
        """Log nothing."""


def on_starting(settings: Settings) -> Callable[[Any], None]:
    """Make the hook that checks the port and the database in the master, and logs the start."""

    def check(server: Any) -> None:
        """End with one message, rather than with a traceback in each worker."""
        # at DEBUG gunicorn prints the requests that it received
        server.log.error_log.setLevel(max(server.log.error_log.level, logging.INFO))
        metrics.remove_folders_of_the_dead()
        try:
            _check_ports(server)
            # upgrades are left to the workers: one may take a minute, in which they answer 429
            check_database(settings, may_upgrade=False)
        except ConfigError as error:
            raise SystemExit(str(error)) from None
        log.info("web starting", **summary(settings))
        if server.cfg.bind == [*settings.bind]:  # not gunicorn's own --bind
            log.info(explain(settings.bind), port=port_of(settings.bind))

    return check


def _check_ports(server: Any) -> None:
    """Raise `ConfigError` at once if a port is taken: gunicorn would try for five seconds.

    A master that takes over the sockets of another one, or of systemd, binds none.
    """
    if os.environ.keys() & {"GUNICORN_FD", "LISTEN_FDS"}:
        return
    for address in server.cfg.address:
        if isinstance(address, tuple):  # not a Unix socket
            check_port_is_free(*address)


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Prepare a new worker, in its process."""
    _handle_early_stop(server)
    metrics.ensure_folder()


def _handle_early_stop(server: Any) -> None:
    """Make a stop signal end the worker before it has its own signal handlers.

    A worker inherits the master's handlers, which only queue signals. One that is stopped so early
    would go on until it is killed.
    """
    stop_signals = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    for signum in stop_signals:
        signal.signal(signum, lambda *_: sys.exit(0))
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get() in stop_signals:
            sys.exit(0)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Let the deliverer settle the batch in hand, at the end of a worker."""
    worker.join_background()


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Keep the counters of a worker that has ended, in the master."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Ignore a repeated SIGTERM at the end of the master: it would make the exit a failure."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
