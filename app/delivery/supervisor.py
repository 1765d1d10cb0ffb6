"""The deliverer of a web process: a process beside it, so that sending holds no webhook up.

Python runs one thread at a time. In a thread of the web process, delivery took half of the rate at
which it accepts and doubled the longest answers (docs/performance.md).
"""

import os
import subprocess
import sys
import threading
import time

from app.logs import get_logger, where

log = get_logger(__name__)

START_AGAIN_AFTER = 2.0
"""Seconds."""


class Supervisor:
    """`flask deliver`, for as long as this process lives; started again should it end."""

    def __init__(self, app: str) -> None:
        """`app` is what gunicorn loads, such as "wsgi:app"."""
        options = ["--app", app, "deliver", "--until-end-of-input"]
        self._command = [sys.executable, "-m", "flask", *options]
        self._stopping = False
        """No Event: a signal that interrupts another's `set` would wait for it without end."""
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="deliverer", daemon=True)

    def start(self) -> None:
        """Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Have it settle the batch in hand, and end. Safe in a signal handler."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()

    def join(self, timeout: float) -> None:
        """Wait for its end, so many seconds at most."""
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._is_stopping():
            try:
                code = self._run_one()
            except OSError as error:  # no room for another process, or none for its pipe
                log.error("deliverer cannot be started, trying again", reason=where(error))  # noqa: TRY400
                self._pause()
                continue
            self._pause()  # Ctrl-C ends both, and this one first
            if not self._is_stopping():
                log.error("deliverer ended, starting it again", code=code)

    def _run_one(self) -> int:
        environ = {
            **os.environ,
            "FLASK_SKIP_DOTENV": "1",
        }  # app/config/environment.py reads that file
        # the pipe ends with this process, however that ends: nobody is left to send alone
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
