"""The bridge as an operator runs it: gunicorn, and `flask deliver`, as processes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import requests
from sqlalchemy.engine import URL

from tests.support import warm_start
from tests.support.ports import free_port
from tests.support.waiting import wait_until

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-token-for-the-process"
WRITE_KEY = "key-of-the-process"

SECRETS = (
    *(TOKEN, WRITE_KEY, "a2V5LW9mLXRoZS1wcm9jZXNz"),  # the last: the key, as HTTP Basic writes it
    # the people of samples/, what they read and where they are
    *("ana@example.com", "bo@example.com", "Hola", "shop.example", "x?y=1", "Autumn news"),
    *("203.0.113.7", "198.51.100.4", "Mozilla/5.0", "Europe/Madrid"),
)
"""What must not be in any log or error answer, of any test that posts the samples."""


PYTHON = (sys.executable, "-m")
"""How commands begin that are started as copies of a process that has imported the libraries."""


class Process(Protocol):
    """A `subprocess.Popen`, as far as tests need one."""

    pid: int
    returncode: int | Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class BridgeProcess:
    """One database, one port, and the processes over them; all are killed at the end."""

    GUNICORN = (*PYTHON, "gunicorn", "-c", str(ROOT / "gunicorn.conf.py"))

    def __init__(self, database_url: URL, segment_url: str, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "bridge.log"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.webhook = f"{self.base}/webhooks/drip"
        # postgresql+psycopg is SQLAlchemy's way to write it, not an operator's
        url = database_url.set(drivername=database_url.get_backend_name())
        self.app = "wsgi:app"
        """What gunicorn and flask load."""
        self.prefix: Sequence[str] = ()
        """A command that runs the processes, such as one that takes rights away."""
        self.stderr: int | None = None
        """A descriptor; None is the file `log`."""
        self.is_cold = False
        """Whether each process is a new interpreter, and not the copy of one."""
        self.environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PORT": str(self.port),
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "DRIP_WEBHOOK_TOKEN": TOKEN,
            "SEGMENT_HOST": segment_url,
            "SEGMENT_WRITE_KEY": WRITE_KEY,
        }
        self.secrets = [*SECRETS]
        """What the processes may not log."""
        self._processes: list[Process] = []

    def __enter__(self) -> "BridgeProcess":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            # a master that is killed leaves the folder in which its workers count
            for folder in Path("/dev/shm").glob(f"bridge-{process.pid}-*"):
                shutil.rmtree(folder, ignore_errors=True)
        if self.log.exists():
            assert_no_secret(self.log.read_text(errors="replace"), self.secrets)

    def flask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the bridge to its end."""
        return self.run([*PYTHON, "flask", "--app", "wsgi", *arguments])

    def run(self, command: Sequence[str], **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a `flask` or `gunicorn` to its end."""
        _, _, module, *arguments = command
        return warm_start.run(module, arguments, self.folder, {**self.environ, **environ})

    def start_web(self, **environ: str) -> Process:
        """gunicorn, once it answers."""
        return self.start([*self.GUNICORN, self.app], **environ)

    def start_both(self, **environ: str) -> Process:
        """gunicorn, and a deliverer beside it that is nobody's child, which starts faster."""
        self.start_deliverer(**environ)
        return self.start_web(DELIVER_IN_WEB="false", **environ)

    def start(self, command: list[str], **environ: str) -> Process:
        """Whatever serves the bridge, once it answers."""
        process = self.start_one(command, **environ)
        self.wait_until_it_answers(process)
        return process

    def start_deliverer(self, **environ: str) -> Process:
        """`flask deliver`, at once."""
        command = [sys.executable, "-m", "flask", "--app", self.app, "deliver"]
        return self.start_one(command, **environ)

    def post(self, body: bytes | Iterable[bytes], **kwargs: Any) -> requests.Response:
        """Post a webhook with the right token, unless told otherwise."""
        kwargs.setdefault("params", {"token": TOKEN})
        answer = requests.post(self.webhook, data=body, timeout=30, **kwargs)
        assert_no_secret(answer.text)
        return answer

    def wait_for_log(self, text: str) -> None:
        """Until a line with the text is there; fails where it does not come."""
        wait_until(lambda: text in self.log.read_text(), report=self.log.read_text)

    def pids(self) -> list[int]:
        """Of the processes that run; a gunicorn's workers are its children."""
        return [process.pid for process in self._processes if process.poll() is None]

    @staticmethod
    def kill(process: Process) -> None:
        """SIGKILL to the process and its workers: nothing gets to say goodbye."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def start_one(self, command: list[str], **environ: str) -> Process:
        """Any process, at once."""
        environ = {**self.environ, **environ}
        process: Process
        with self.log.open("ab") as log:
            stdout = log.fileno()
            stderr = stdout if self.stderr is None else self.stderr
            if self.prefix or self.is_cold or command[:2] != [*PYTHON]:
                process = subprocess.Popen(
                    [*self.prefix, *command],
                    cwd=self.folder,
                    env=environ,
                    stdout=stdout,
                    stderr=stderr,
                    start_new_session=True,
                )
            else:
                module, arguments = command[2], command[3:]
                process = warm_start.start(module, arguments, self.folder, environ, stdout, stderr)
        self._processes.append(process)
        return process

    def wait_until_it_answers(self, process: Process) -> None:
        """Fails where it does not in time."""
        wait_until(lambda: process.poll() is not None or self._answers(), report=self.log.read_text)
        assert process.poll() is None, f"the bridge did not start:\n{self.log.read_text()}"

    def _answers(self) -> bool:
        try:
            requests.get(self.base, timeout=5)
        except requests.ConnectionError:
            return False
        return True


def assert_no_secret(text: str, secrets: Iterable[str] = SECRETS) -> None:
    """Names the secret that is in the text, and where."""
    for secret in secrets:
        found = text.find(secret)
        assert found < 0, f"{secret!r} in: {text[max(found - 200, 0) : found + 50]}"
