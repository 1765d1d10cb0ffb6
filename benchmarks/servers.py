"""What is measured, and what stands at its other end: processes on loopback, for a while."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

from benchmarks.segment_sink import Tally
from tests.support.bridge_process import ROOT, TOKEN, WRITE_KEY, BridgeProcess

PEER = ("--workers", "1", "--threads", "16", "--worker-class")
"""The threads are gthread's, which is what people run; gevent has none."""

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
"""Of this shell's variables: none that a developer set for the bridge."""


@dataclass(frozen=True)
class Server:
    """A process in a folder of its own, which was empty."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def webhook(self) -> str:
        """Where Drip posts."""
        return f"{self.base}/webhooks/drip?token={TOKEN}"

    @property
    def log(self) -> str:
        """The end of what it said."""
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def memory(self) -> float:
        """MB of all its processes; on Linux what they share is counted once (PSS)."""
        parent = psutil.Process(self.process.pid)
        found = [each.memory_full_info() for each in (parent, *parent.children(recursive=True))]
        if platform.system() == "Linux":
            return sum(each.pss for each in found) / 1e6
        return sum(each.rss for each in found) / 1e6

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(self.base, timeout=10)
            except requests.ConnectionError:
                time.sleep(0.02)
            else:
                return
        raise SystemExit(f"It did not start:\n{self.log}")


class Sink(Server):
    """The stand-in for Segment."""

    def tally(self) -> Tally:
        """What it has had."""
        return Tally(**requests.get(self.base, timeout=10).json())

    def wait_for(self, calls: int) -> Tally:
        """Until it has had so many."""
        tally, since = self.tally(), time.monotonic()
        while tally.calls < calls:
            time.sleep(0.1)
            before, tally = tally, self.tally()
            if tally.calls > before.calls:
                since = time.monotonic()
            elif time.monotonic() > since + 60:
                raise SystemExit(f"For a minute nothing was sent beyond {tally.calls:,} calls.")
        return tally


@contextmanager
def sink() -> Iterator[Sink]:
    """One that has had nothing yet."""
    port = _free_port()
    with _launched(["benchmarks.segment_sink", str(port)], {}, port) as server:
        server.wait()
        yield Sink(server.process, server.port, server.folder)


@contextmanager
def peer(module: str, segment: Sink, worker: str = "gthread") -> Iterator[Server]:
    """A small app that does less, under one of gunicorn's own workers."""
    port = _free_port()
    command = ["gunicorn", *PEER, worker, "--bind", f"127.0.0.1:{port}", f"benchmarks.{module}:app"]
    with _launched(command, {"SEGMENT_HOST": segment.base}, port) as server:
        server.wait()
        yield server


@contextmanager
def bridge(segment: Sink, **environ: str) -> Iterator[Server]:
    """As shipped, over a new `bridge.db` in its folder, once it answers."""
    with launched_bridge(segment, **environ) as server:
        server.wait()
        yield server


@contextmanager
def launched_bridge(segment: Sink, **environ: str) -> Iterator[Server]:
    """The same, as soon as the process is there."""
    port = _free_port()
    gunicorn = [*BridgeProcess.GUNICORN[2:], "wsgi:app"]  # behind `python -m`
    with _launched(gunicorn, {**_settings(segment), "PORT": str(port), **environ}, port) as server:
        yield server


@contextmanager
def deliverer(segment: Sink, database: Path) -> Iterator[Server]:
    """`flask deliver` as a worker runs it."""
    settings = {**_settings(segment), "DATABASE_URL": f"sqlite:///{database}"}
    with _launched(["flask", "--app", "wsgi", "deliver"], settings, 0) as server:
        yield server


@contextmanager
def bare_loop(segment: Sink, calls: Path) -> Iterator[Server]:
    """The SDK's `post` and nothing else, over a file of calls."""
    with _launched(["benchmarks.bare_loop", segment.base, str(calls)], {}, 0) as server:
        yield server


def _settings(segment: Sink) -> dict[str, str]:
    return {
        "DRIP_WEBHOOK_TOKEN": TOKEN,
        "INSPECTOR_PASSWORD": "a-password-for-the-pages",
        "SEGMENT_HOST": segment.base,
        "SEGMENT_WRITE_KEY": WRITE_KEY,
    }


@contextmanager
def _launched(module: Sequence[str], environ: dict[str, str], port: int) -> Iterator[Server]:
    """`python -m`, until the end of the block."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=folder,
                env={**kept, "PYTHONPATH": str(ROOT), **environ},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            yield Server(process, port, folder)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # a master that is killed leaves the folder in which its workers count
        for folder in Path("/dev/shm").glob(f"bridge-{process.pid}-*"):
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
