"""Run the deliverer in a process beside the web process, so that sending does not delay webhooks.

Python runs one thread at a time. In a thread of the web process, delivery halved the rate of
accepting and doubled the longest answers (docs/development/performance.md).
"""

import os
import subprocess
import sys
import threading
import time

from app.logs import error_location, get_logger

log = get_logger(__name__)

START_AGAIN_AFTER = 2.0
"""Seconds to wait before a deliverer that ended is started again."""


class Supervisor:
    """Run `flask deliver` for as long as this process lives, and start it again if it ends."""

    def __init__(self, app: str) -> None:
        """`app` is what gunicorn loads, such as "wsgi:app"."""
        options = ["--app", app, "deliver", "--until-end-of-input"]
        self._command = [sys.executable, "-m", "flask", *options]
        self._stopping = False
        """A plain flag: with `threading.Event`, a signal that interrupts another signal's `set`
        would wait for it for ever."""
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)

    def start(self) -> None:
        """Start the deliverer in the background, and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Let the deliverer settle its current batch and end. Safe in a signal handler."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()

    def join(self, timeout: float) -> None:
        """Wait for the deliverer to end, at most `timeout` seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._is_stopping():
            try:
                code = self._run_one()
            except OSError as error:  # too many processes or open files
                log.error("deliverer cannot be started, trying again", reason=error_location(error))  # noqa: TRY400
                self._pause()
                continue
            self._pause()  # Ctrl-C ends both processes, the deliverer first: no error then
            if not self._is_stopping():
                log.error("deliverer ended, starting it again", code=code)

    def _run_one(self) -> int:
        # app/config/environment.py reads .env in place of Flask
        environ = {**os.environ, "FLASK_SKIP_DOTENV": "1"}
        # the pipe is closed when this process ends, even if it is killed, and then the deliverer
        # ends
        with subprocess.Popen(self._command, env=environ, stdin=subprocess.PIPE) as process:  # noqa: S603
            self._process = process
            if self._is_stopping():
                process.terminate()
            return process.wait()

    def _pause(self) -> None:
        until = time.monotonic() + START_AGAIN_AFTER
        while not self._is_stopping() and time.monotonic() < until:
            time.sleep(0.1)

    def _is_stopping(self) -> bool:
        return self._stopping
