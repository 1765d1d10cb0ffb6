"""Attacks by other addresses than the webhook's, as fast as they are answered."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import make_url

from tests.faults.attacks import ValidTraffic
from tests.faults.conftest import scaled
from tests.faults.crowd import answers_within, crowd
from tests.support.bridge_process import ROOT, BridgeProcess

FLOOD = """
import itertools, threading
from tests.support.wire import Wire

def run():
    with Wire({port}, timeout=60) as wire:
        while True:
            wire.send({sent!r})
            assert wire.answer().status in {statuses}
            print(end=".", flush=True)

for _ in range({connections}):
    threading.Thread(target=run).start()
"""


@contextmanager
def flood(bridge: BridgeProcess, sent: bytes, *statuses: int) -> Iterator[None]:
    """From a process of its own, over four connections, until the block ends."""
    code = FLOOD.format(port=bridge.port, sent=sent, statuses=statuses, connections=4)
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        assert process.stdout.read(1) == b"."
        yield
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BridgeProcess]:
    """With its pages on; each flood is over at the end of its test."""
    folder = tmp_path_factory.mktemp("attacked")
    url = make_url(f"sqlite:///{folder}/bridge.db")
    with BridgeProcess(url, "http://127.0.0.1:9", folder) as process:
        process.start_web(DELIVER_IN_WEB="false", INSPECTOR_PASSWORD="a-password-for-the-pages")
        yield process


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


POST = b"POST /webhooks/%64rip HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
PIPELINED = get("/healthz") * 200


@pytest.mark.fault(27, "a flood of another address")
@pytest.mark.parametrize(
    ("name", "sent", "statuses"),
    [
        ("/metrics", get("/metrics"), [200]),
        ("/readyz", get("/readyz"), [200, 503]),
        ("/login", get("/login"), [200]),
        ("/", get("/"), [302, 303]),
        ("/nothing", get("/nothing"), [404]),
        ("/webhooks/%64rip", POST, [401]),
    ],
)
def test_a_flood_of_another_address_leaves_valid_senders_half(
    attacked: BridgeProcess,
    name: str,
    sent: bytes,
    statuses: list[int],
    seen: Callable[[str], None],
) -> None:
    # the flood's own client needs the two cores too
    least = scaled(2, 5) / 10
    for _ in range(5):  # something else may have needed them meanwhile
        with ValidTraffic(attacked, connections=8) as alone:
            time.sleep(scaled(3, 100) / 10)
        with flood(attacked, sent, *statuses), ValidTraffic(attacked, connections=8) as along:
            time.sleep(scaled(3, 100) / 10)
        assert alone.others == along.others == []
        share = along.rate / alone.rate
        if share >= least:
            break
    seen(f"{name}: valid {alone.rate:,.0f}/s alone, {along.rate:,.0f}/s along ({share:.0%})")
    assert share >= least


@pytest.mark.fault(28, "200 connections that pipeline 200 pages each")
def test_pipelined_pages_leave_others_their_turn(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    with crowd(attacked, 200, PIPELINED), ValidTraffic(attacked, pause=0.02) as traffic:
        took = max(answers_within(attacked, 10) for _ in range(scaled(3, 20)))
    assert traffic.others == []
    assert took < scaled(10, 2)
    seen(f"/healthz at most {took:.3f} s, valid p99 {traffic.p99():.3f} s")
