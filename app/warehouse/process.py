"""Run each load in a process of its own, beside the deliverer.

So it takes nothing from sending, its memory is free again when it ends, and a stop need not wait
for it: what a load has not noted is loaded again.
"""

import os
import subprocess
import sys
from pathlib import Path

from app.logs import get_logger

log = get_logger(__name__)

APP = Path(__file__).parents[2] / "wsgi.py"

COMMAND = (sys.executable, "-m", "flask", "--app", str(APP), "warehouse", "load")


class LoadProcess:
    """Runs `flask warehouse load`, one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> None:
        """Load once, and wait for the end. It logs what became of it by itself."""
        if self._is_stopping():
            return
        # its counts are in the database; files of each process that has loaded would only pile up
        environ = {k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"}
        environ["FLASK_SKIP_DOTENV"] = "1"  # app/config/environment.py reads .env in its place
        with subprocess.Popen(COMMAND, env=environ, stdout=subprocess.DEVNULL) as process:  # noqa: S603
            self._process = process
            if self._is_stopping():
                process.terminate()
            code = process.wait()
        if code < 0 and not self._is_stopping():
            log.error("load was killed", signal=-code)

    def stop(self) -> None:
        """End the load that runs, and start none any more. Safe in a signal handler."""
        self._stopping = True
        if self._process is not None:
            self._process.terminate()

    def _is_stopping(self) -> bool:
        return self._stopping
