"""How gunicorn runs the bridge. It reads this file by itself from the folder it is started in."""

from gevent import monkey

monkey.patch_select()  # before psycopg is imported, which then waits as greenlets do
monkey.patch_dns()

import atexit
import os
import shutil
import tempfile
from pathlib import Path

# The folder in which each process counts: prometheus_client looks for it when it is first imported.
# In memory, where there is such a place: a full disk would kill a process that counts on it.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(
        prefix=f"bridge-{os.getpid()}-",
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108
    )

from app.config.settings import load_settings
from app.errors import ConfigError
from app.logs import log_config
from app.server import hooks


@atexit.register
def _remove_counts() -> None:
    """At the end of the master that made the folder: not of a worker, nor if an operator did."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if folder.name.startswith(f"bridge-{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)


try:
    settings = load_settings()
except ConfigError as error:
    raise SystemExit(str(error)) from None

wsgi_app = "wsgi:app"
bind = list(settings.bind)
backlog = 4096

# One worker does for 1,000/s, which is all that Segment takes (docs/development/performance.md).
worker_class = "app.server.worker.Worker"
workers = settings.workers
worker_connections = hooks.most_connections()
sendfile = False  # it would go past the connection, which gathers an answer

# Longer than the routers of platforms keep a connection: one that is closed here first loses the
# request that meets the closing (docs/development/facts.md § 4).
keepalive = 95

# Heroku kills 30 s after SIGTERM: by then answers are given and the batch in hand is settled.
graceful_timeout = 20

logger_class = hooks.NoAccessLog
logconfig_dict = log_config(settings.log_level, settings.log_format)
control_socket_disable = True

on_starting = hooks.on_starting(settings)
post_fork = hooks.post_fork
worker_exit = hooks.worker_exit
child_exit = hooks.child_exit
on_exit = hooks.on_exit
