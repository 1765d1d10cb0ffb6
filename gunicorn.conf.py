"""How gunicorn runs the bridge. It reads this file by itself from the folder it is started in."""

import logging
import os
import signal
from functools import partial
from typing import Any

from gunicorn.glogging import Logger

from app.bridge import bridge_of, check_database
from app.errors import CannotStart
from app.logs import log_config
from app.settings import Settings, load_settings
from app.source.gate import head_to_refusal


def _settings() -> Settings:
    """Refuse to start in words rather than with a traceback."""
    try:
        return load_settings()
    except CannotStart as error:
        raise SystemExit(str(error)) from None


_set = _settings()

wsgi_app = "wsgi:app"
bind = f"0.0.0.0:{os.environ['PORT']}" if "PORT" in os.environ else "127.0.0.1:8000"

# gthread, but a thread gets a request when it is whole. Threads wait for a commit together and
# share its sync; a second process would wait for one of its own, and on SQLite for its turn.
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


def post_worker_init(worker: Any) -> None:
    """Threads do not survive a fork: the deliverer starts in the worker.

    At SIGTERM it stops along with the requests, not after them.
    """
    bridge = bridge_of(worker.wsgi)
    worker.head_to_refusal = partial(head_to_refusal, tokens=bridge.settings.webhook_tokens)
    if not bridge.settings.deliver_in_web:
        return
    worker.delivery = bridge.delivery.start()
    stop_requests = signal.getsignal(signal.SIGTERM)

    def stop(signum: int, frame: Any) -> None:
        bridge.delivery.stop()
        stop_requests(signum, frame)  # type: ignore[operator, misc]

    signal.signal(signal.SIGTERM, stop)


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """Let the deliverer settle the batch in hand."""
    if delivery := getattr(worker, "delivery", None):
        bridge_of(worker.wsgi).delivery.stop()
        delivery.join(timeout=15)


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    """All is done: a signal that comes again does not make it a failure."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
