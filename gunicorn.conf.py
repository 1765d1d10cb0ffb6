"""How gunicorn runs the bridge. It reads this file by itself from the folder it is started in."""

import atexit
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# The folder in which each process counts: prometheus_client looks for it when it is first imported.
# In memory, where there is such a place: a full disk would kill a process that counts on it.
if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(
        prefix=f"bridge-{os.getpid()}-",
        dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None,  # noqa: S108
    )

from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from app import metrics
from app.bridge import bridge_of, check_database
from app.deliverer import Deliverer
from app.errors import CannotStart
from app.logs import log_config
from app.request_end import Verdict
from app.settings import Settings, load_settings
from app.source.gate import head_to_verdict


def _settings() -> Settings:
    """Refuse to start in words rather than with a traceback."""
    try:
        return load_settings()
    except CannotStart as error:
        raise SystemExit(str(error)) from None


def _remove_counts() -> None:
    """At the end of the master that made the folder: not of a worker, nor where an operator did."""
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if folder.name.startswith(f"bridge-{os.getpid()}-"):
        shutil.rmtree(folder, ignore_errors=True)


atexit.register(_remove_counts)

_set = _settings()

wsgi_app = "wsgi:app"
bind = f"0.0.0.0:{os.environ['PORT']}" if "PORT" in os.environ else "127.0.0.1:8000"

# gthread, but a request is served when it is whole, and a webhook by the event loop itself, which
# goes on with others while one waits for its commit; the threads are for the rest. A second process
# takes a third more webhooks on 2 cores, also on SQLite, for 100 MB with its deliverer: one does
# for 1,000/s, which is all that Segment takes (docs/performance.md).
worker_class = "app.patient_worker.PatientWorker"
workers = int(os.environ.get("WEB_CONCURRENCY", "1"))
threads = 16

# Heroku kills 30 s after SIGTERM: by then answers are given and the batch in hand is settled.
graceful_timeout = 20


class NoAccessLog(Logger):  # type: ignore[misc]
    """It would print the URL, which carries the token, and the Basic user name. `accesslog = None`
    is overruled by GUNICORN_CMD_ARGS, with which Heroku's Python buildpack turns it on."""

    def access(self, *_: Any) -> None:
        """Nothing."""


logger_class = NoAccessLog
logconfig_dict = log_config(_set.log_level, _set.log_format)
control_socket_disable = True


def on_starting(server: Any) -> None:
    """Refuse to start once, in words, rather than once a worker with a traceback."""
    # at DEBUG gunicorn prints what it received
    server.log.error_log.setLevel(max(server.log.error_log.level, logging.INFO))
    try:
        check_database(_set)
    except CannotStart as error:
        raise SystemExit(str(error)) from None


def post_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Called in the worker."""
    _heed_stop(server)
    metrics.open_after_fork()


def _heed_stop(server: Any) -> None:
    """A worker begins with the master's handlers, which put a signal aside for the master: one that
    is told to stop before it has its own would go on until it is killed."""
    told = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
    for signum in told:
        signal.signal(signum, lambda *_: sys.exit(0))
    while not server.SIG_QUEUE.empty():
        if server.SIG_QUEUE.get() in told:
            sys.exit(0)


def post_worker_init(worker: Any) -> None:
    """Threads do not survive a fork, and the deliverer ends with the worker: both start here.

    At SIGTERM it stops along with the requests, not after them.
    """
    _spare_the_interpreter()
    bridge = bridge_of(worker.wsgi)
    tokens = bridge.settings.webhook_tokens
    worker.head_to_verdict = _counted(partial(head_to_verdict, tokens=tokens))
    bridge.start_watch()
    if not bridge.settings.deliver_in_web:
        return
    worker.deliverer = Deliverer(worker.app.app_uri)
    worker.deliverer.start()
    stop_requests = signal.getsignal(signal.SIGTERM)

    def stop(signum: int, frame: Any) -> None:
        worker.deliverer.stop()
        stop_requests(signum, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGTERM, stop)


def _spare_the_interpreter() -> None:
    """An eighth more webhooks (docs/performance.md).

    What is loaded by now stays, so nobody need look through it for garbage again and again; and a
    thread that soon waits by itself need not be interrupted before.
    """
    gc.freeze()
    gc.set_threshold(10_000)
    sys.setswitchinterval(0.02)


def _counted(judge: Callable[[bytes], Verdict]) -> Callable[[bytes], Verdict]:
    def judge_and_count(head: bytes) -> Verdict:
        verdict = judge(head)
        if verdict.refusal:
            metrics.count_refusal()
        return verdict

    return judge_and_count


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Let the deliverer settle the batch in hand."""
    if deliverer := getattr(worker, "deliverer", None):
        deliverer.stop()
        deliverer.join(timeout=15)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """However it ended. What it counted stays."""
    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """All is done: a signal that comes again does not make it a failure."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
