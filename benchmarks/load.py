"""The two kinds of load, each a process of its own: flat out, and at a fixed rate."""

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from benchmarks.bodies import body_around, track_around
from benchmarks.servers import Server
from tests.support.bridge_process import ROOT

CONNECTIONS = 32


@dataclass(frozen=True)
class Load:
    """What came of it. Every answer was a 2xx."""

    answers: int
    seconds: float
    p99: float
    """Seconds."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def require_wrk() -> None:
    """Before anything is measured."""
    if not shutil.which("wrk"):
        raise SystemExit("The load comes from wrk: apt-get install wrk")


def flood(server: Server, seconds: int) -> Load:
    """As many as it takes: each connection posts again when it has its answer."""
    return _flood(server, server.webhook, body_around(), 1, seconds)


def flood_of_calls(server: Server, url: str, calls: int, seconds: int) -> Load:
    """The same with what Segment posts, so many calls a post."""
    return _flood(server, url, track_around(), calls, seconds)


def _flood(
    server: Server, url: str, around: tuple[bytes, bytes], events: int, seconds: int
) -> Load:
    with tempfile.NamedTemporaryFile() as body:
        body.write(b"@".join(around))
        body.flush()
        wrk = ["wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--timeout", "30s"]
        script = str(Path(__file__).with_name("posts.lua"))
        what = ["--duration", f"{seconds}s", "--script", script, url]
        return _run([*wrk, *what, "--", body.name, uuid4().hex, str(events)], server)


def steady(server: Server, rate: float, seconds: float) -> Load:
    """So many a second, whether or not the earlier ones are answered."""
    command = [sys.executable, "-m", "benchmarks.steady_load"]
    return _run([*command, server.webhook, str(rate), str(seconds)], server)


def _run(command: list[str], server: Server) -> Load:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    failed = found.pop("failed")
    if failed or not found["answers"]:
        raise SystemExit(f"{failed:,} posts got no 2xx. The server's last words:\n{server.log}")
    return Load(**found)
