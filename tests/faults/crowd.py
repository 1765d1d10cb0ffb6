"""Many connections from a process of their own, and how the bridge bears them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import requests

from tests.support.bridge_process import ROOT, BridgeProcess

MB = 1_000_000

CROWD = """
import resource, socket, sys, time
files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
first, rest, every = {first!r}, bytes({rest}), {every}
opened = []
for _ in range({count}):
    connection = socket.socket()
    connection.settimeout(30)
    if {window}:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, {window})
    try:
        connection.connect(("127.0.0.1", {port}))
        connection.sendall(first)
    except OSError:
        continue
    connection.setblocking(False)
    opened.append([connection, 0])
print(len(opened), flush=True)
while True:  # until it is killed
    for entry in opened:
        connection, sent = entry
        try:
            if rest:
                entry[1] += connection.send(rest[sent : sent + {step}])
            if {window}:
                connection.recv(4096)
        except OSError:
            pass
    time.sleep(every)
"""
"""So many connections that each send something, and then a step of so many bytes every so often;
with a window they also read 4 kB each time."""


@contextmanager
def crowd(
    bridge: BridgeProcess,
    count: int,
    first: bytes,
    rest: int = 0,
    *,
    step: int = 1,
    every: float = 0.5,
    window: int = 0,
) -> Iterator[int]:
    """Once all are there, or were turned away: how many are."""
    code = CROWD.format(
        count=count,
        port=bridge.port,
        first=first,
        rest=rest,
        step=step,
        every=every,
        window=window,
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def memory_of_all(bridge: BridgeProcess) -> float:
    """MB of all its processes; what they share is counted once."""
    (parent,) = map(psutil.Process, bridge.pids())
    processes = [parent, *parent.children(recursive=True)]
    return sum(float(each.memory_full_info().pss) for each in processes) / MB


def answers_within(bridge: BridgeProcess, seconds: float) -> float:
    """How long `/healthz` takes on a new connection; fails if longer than that."""
    began = time.monotonic()
    assert requests.get(f"{bridge.base}/healthz", timeout=seconds).status_code == 200
    return time.monotonic() - began
