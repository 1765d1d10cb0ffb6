"""Nobody reads what stderr goes to: nothing waits for that, and it is told how much was lost."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy.engine import make_url

from app.log_output import PIPE_BYTES, unblock_stderr
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.fake_segment import FakeSegment
from tests.support.waiting import wait_until

LOST = "log lines lost: nobody read them"

SAY = """
import sys, threading, warnings
import click
from app.logs import configure_logs, get_logger

configure_logs("info", "json")
log = get_logger("app.somewhere")
for number in range(6_000):
    log.info("accepted", number=number, filling="x" * 300)
for _ in range(5):
    print("printed", file=sys.stderr)
    click.echo("echoed", err=True)
    warnings.warn("warned")
failed = threading.Thread(target=lambda: 1 / 0)
failed.start()
failed.join()
print("done", flush=True)
input()
log.info("read again")
print("done", flush=True)
"""
"""Over 2 MB, and that nobody reads until a line comes in."""


class End:
    """What stderr is: the end that is written to. The other one is read when it is told to."""

    def __init__(self, written: int, other: int) -> None:
        self.written = written
        self._other = other
        self.seen = b""

    def read_on(self) -> threading.Thread:
        thread = threading.Thread(target=self._read_all, daemon=True)
        thread.start()
        return thread

    def _read_all(self) -> None:
        with suppress(OSError):  # a terminal's way to end
            while data := os.read(self._other, 65536):
                self.seen += data
        os.close(self._other)

    def lines(self) -> list[str]:
        return self.seen.decode().splitlines()


def unread_pipe() -> End:
    other, written = os.pipe()
    return End(written, other)


def unread_socket() -> End:
    other, written = socket.socketpair()
    return End(written.detach(), other.detach())


def unread_terminal() -> End:
    other, written = pty.openpty()
    return End(written, other)


@pytest.fixture
def said() -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """`SAY`, with stderr as given."""
    with ExitStack() as stack:

        def start(stderr: int) -> subprocess.Popen[str]:
            pipe = subprocess.PIPE
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", SAY],
                    stdin=pipe,
                    stdout=pipe,
                    stderr=stderr,
                    text=True,
                    env={"PYTHONPATH": str(ROOT)},
                )
            )
            stack.callback(process.kill)
            return process

        yield start


@pytest.mark.parametrize("unread", [unread_pipe, unread_socket, unread_terminal])
def test_an_unread_log_holds_up_nobody_and_the_loss_is_logged(
    unread: Callable[[], End], said: Callable[[int], subprocess.Popen[str]]
) -> None:
    end = unread()
    process = said(end.written)
    assert process.stdout
    assert process.stdin
    assert process.stdout.readline() == "done\n"  # or the test's time is over
    assert os.get_blocking(end.written)  # it is the parent's too

    reading = end.read_on()
    wait_until(lambda: len(end.seen) >= 1000)
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"
    process.wait(10)
    os.close(end.written)
    reading.join(10)

    *before, last = (json.loads(line) for line in end.lines() if line.startswith("{"))
    # a terminal takes some again after a while, so there may be several losses
    losses = [line for line in before if line["event"] == LOST]
    assert losses[0].keys() == {"event", "lost", "level", "logger", "timestamp"}
    assert losses[0]["level"] == "warning"
    assert last["event"] == "read again"
    arrived = [line["number"] for line in before if "number" in line]
    assert arrived == sorted(set(arrived))
    assert sum(line["lost"] for line in losses) >= 6_000 - len(arrived) > 2_000


def test_a_pipe_that_is_read_now_and_then_loses_nothing() -> None:
    end = unread_pipe()
    said = "from app.logs import *; configure_logs('info', 'json')\n"
    said += "for n in range(2_000): get_logger('app.x').info('accepted', filling='x' * 300)"
    process = subprocess.run(
        [sys.executable, "-c", said],
        stderr=end.written,
        check=True,
        timeout=60,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert process.returncode == 0
    os.close(end.written)
    end.read_on().join(10)
    assert len(end.lines()) == 2_000


def test_a_file_stays_as_it_is(tmp_path: Path) -> None:
    said = (
        "import sys; old = sys.stderr\n"
        "from app.logs import *; configure_logs('info', 'json')\n"
        "assert sys.stderr is old\n"
        "get_logger('app.x').info('accepted')"
    )
    with (tmp_path / "log").open("w") as log:
        subprocess.run(
            [sys.executable, "-c", said],
            stderr=log,
            check=True,
            timeout=60,
            env={"PYTHONPATH": str(ROOT)},
        )
    assert json.loads((tmp_path / "log").read_text())["event"] == "accepted"


def test_what_stands_in_for_stderr_stays_as_it_is() -> None:
    """pytest's, that of whoever embeds us."""
    before = sys.stderr
    assert unblock_stderr() is before


def test_a_bridge_with_a_full_log_accepts_sends_and_ends(
    segment: FakeSegment, tmp_path: Path
) -> None:
    end = unread_pipe()
    fcntl.fcntl(end.written, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    own = os.open(f"/proc/self/fd/{end.written}", os.O_WRONLY | os.O_NONBLOCK)
    os.write(own, b"x" * PIPE_BYTES)
    os.close(own)

    with BridgeProcess(make_url(f"sqlite:///{tmp_path}/b.db"), segment.url, tmp_path) as bridge:
        bridge.stderr = end.written
        web = bridge.start_web()
        for sample in sorted((ROOT / "samples").glob("*.json")):
            assert bridge.post(sample.read_bytes()).json()["status"] == "accepted"
        assert len(segment.wait_for(7)) == 7
        [worker] = psutil.Process(web.pid).children()
        worker.kill()  # the master says so, or waits
        bridge.wait_until_it_answers(web)

        reading = end.read_on()
        web.send_signal(signal.SIGTERM)
        assert web.wait(timeout=20) == 0
        os.close(end.written)
        reading.join(10)
    assert LOST in "".join(end.lines())
