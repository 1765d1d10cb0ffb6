"""Start commands of the bridge as copies of a process that has imported the libraries.

Three quarters of the time that a `flask` or `gunicorn` needs to start goes into the imports of
libraries, and the tests start hundreds. So one process imports them once and then forks for each
command. The copy imports the bridge's own modules itself, and psycopg, pysqlite3 and
prometheus_client, whose import depends on the process.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

LIBRARIES = (
    *("alembic.command", "alembic.config", "dotenv", "flask", "flask_wtf", "limits", "marshmallow"),
    *("requests", "segment.analytics", "sqlalchemy", "sqlalchemy.dialects.postgresql"),
    *("sqlalchemy.dialects.sqlite", "structlog"),
)


class WarmProcess:
    """As a `subprocess.Popen`, of a process that is not a child of this one."""

    def __init__(self, reports: socket.socket) -> None:
        self._reports = reports
        self._said = b""
        self.returncode: int | None = None
        self.pid = int(self._read_line(None) or 0)

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            line = self._read_line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(line)
            self._reports.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read_line(self, timeout: float | None) -> bytes | None:
        if not select.select([self._reports], [], [], timeout)[0]:
            return None
        line = b""
        while not line.endswith(b"\n"):
            piece = self._reports.recv(1)
            assert piece, "the process that starts others has ended"
            line += piece
        return line


def start(
    module: str,
    arguments: Sequence[str],
    folder: object,
    environ: Mapping[str, str],
    stdout: int,
    stderr: int,
) -> WarmProcess:
    """`python -m module`, in a session of its own."""
    command = [f"{module}/__main__.py", *arguments]
    asked = json.dumps([module, command, str(folder), dict(environ)]).encode()
    ours, theirs = socket.socketpair()
    with theirs, Path(os.devnull).open("rb") as nothing:
        control, turns = _starter()
        fds = [nothing.fileno(), stdout, stderr, theirs.fileno()]
        with turns:
            socket.send_fds(control, [len(asked).to_bytes(4)], fds)
            control.sendall(asked)
    return WarmProcess(ours)


def run(
    module: str, arguments: Sequence[str], folder: object, environ: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The same, to its end."""
    with TemporaryFile() as out, TemporaryFile() as err:
        process = start(module, arguments, folder, environ, out.fileno(), err.fileno())
        try:
            process.wait(60)
        finally:
            process.kill()
        said = [_read_all(stream) for stream in (out, err)]
    return subprocess.CompletedProcess([module, *arguments], process.wait(), *said)


def _read_all(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode()


@cache
def _starter() -> tuple[socket.socket, threading.Lock]:
    """The other process ends when the socket is closed."""
    ours, theirs = socket.socketpair()
    with theirs:
        starter = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": ""},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end() -> None:
        ours.close()
        starter.wait()

    atexit.register(end)
    return ours, threading.Lock()


def _serve(control: socket.socket) -> tuple[list[Any], list[int]]:
    """Fork for each request. Returns only in the copies, with what is asked of them."""
    woken, wake = os.pipe()
    watched: list[Any] = [control, woken]
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    reports: dict[int, int] = {}
    while True:
        ready, _, _ = select.select(watched, [], [])
        if woken in ready:
            os.read(woken, 4096)
            _report_ends(reports)
        if control in ready:
            size, fds, _, _ = socket.recv_fds(control, 4, 4)
            if not size:
                raise SystemExit
            asked = json.loads(_read(control, int.from_bytes(size)))
            pid = os.fork()
            if not pid:
                return asked, fds
            reports[pid] = fds.pop()
            for fd in fds:
                os.close(fd)


def _read(control: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += control.recv(size - len(found))
    return found


def _report_ends(reports: dict[int, int]) -> None:
    while reports:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        report = reports.pop(pid)
        with suppress(BrokenPipeError):
            os.write(report, b"%d\n" % os.waitstatus_to_exitcode(status))
        os.close(report)


def _become(asked: list[Any], fds: list[int]) -> None:
    """What a new interpreter would be: without what the starter has open, in its own session."""
    module, sys.argv, folder, environ = asked
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    *standard, report = fds
    os.write(report, b"%d\n" % os.getpid())
    for number, fd in enumerate(standard):
        os.dup2(fd, number)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.path[:0] = [folder, *filter(None, environ.get("PYTHONPATH", "").split(os.pathsep))]
    sys.modules.pop("sitecustomize", None)
    with suppress(ImportError):
        import_module("sitecustomize")
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder
    for name in LIBRARIES:
        import_module(name)
    with socket.socket(fileno=int(sys.argv[1])) as end:
        found = _serve(end)
    _become(*found)
