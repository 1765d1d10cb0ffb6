"""Attacks by connections: more than there is room or files for, and readers that do not read."""

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.faults.attacks import ValidTraffic
from tests.faults.conftest import scaled
from tests.faults.crowd import MB, answers_within, crowd, memory_of_all
from tests.support.bridge_process import TOKEN, BridgeProcess
from tests.support.wire import Wire


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[BridgeProcess]:
    url = make_url(f"sqlite:///{tmp_path}/bridge.db")
    with BridgeProcess(url, "http://127.0.0.1:9", tmp_path) as process:
        yield process


SOON = float(scaled(5, 1))
"""Seconds. At the small scale other tests run beside, on the same cores."""

HALF_HEAD = b"POST /webhooks/drip HTTP/1.1\r\nHost: example.com\r\n"


@pytest.mark.fault(23, "one peer holds connections with half a head each")
@pytest.mark.parametrize("count", [1500, 4500])
def test_half_heads_leave_room_for_valid_senders(
    bridge: BridgeProcess, count: int, seen: Callable[[str], None]
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    with crowd(bridge, count, HALF_HEAD) as opened:
        with ValidTraffic(bridge, connections=2, pause=0.02) as traffic:
            time.sleep(scaled(2, 30))
        slowest_start = max(traffic.seconds[:2])
    assert traffic.others == []
    assert traffic.p99() < (SOON if count == 1500 else 10)
    seen(f"{opened:,} opened: valid p99 {traffic.p99():.3f} s, first answers {slowest_start:.3f} s")


@pytest.mark.fault(24, "fewer files than connections")
@pytest.mark.parametrize(("files", "count"), [(256, 400), (1024, 1500)])
def test_too_few_files_end_no_worker(
    bridge: BridgeProcess, files: int, count: int, seen: Callable[[str], None]
) -> None:
    limit = str(files)
    bridge.prefix = ("prlimit", f"--nofile={limit}:{limit}")
    bridge.start_web()
    with crowd(bridge, count, HALF_HEAD) as opened:
        with ValidTraffic(bridge, pause=0.02) as traffic:
            time.sleep(scaled(2, 20))
        took = answers_within(bridge, 10)
    log = bridge.log.read_text()
    assert traffic.others == []
    assert traffic.seconds
    assert log.count("Booting worker") == 1
    assert "Too many open files" not in log
    seen(f"{files} files, {opened} connections: p99 {traffic.p99():.3f} s, /healthz {took:.3f} s")


def large(target: str, size: int = MB) -> bytes:
    return b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (target.encode(), size)


STRANGERS = large("/nothing")
HOLDERS = large(f"/webhooks/drip?token={TOKEN}")
READERS = b"GET /inspector-static/inspector.css HTTP/1.1\r\nHost: a\r\n\r\n" * 50


@pytest.mark.fault(25, "large bodies and slow readers")
@pytest.mark.parametrize(
    ("count", "first", "rest", "window"),
    [
        (scaled(150, 900), STRANGERS, MB, 0),
        (scaled(100, 200), HOLDERS, MB - 1, 0),
        (300, READERS, 0, 4096),
    ],
    ids=["strangers", "token holders", "slow readers"],
)
def test_large_bodies_and_slow_readers_take_bounded_memory(
    bridge: BridgeProcess,
    count: int,
    first: bytes,
    rest: int,
    window: int,
    seen: Callable[[str], None],
) -> None:
    bridge.start_web()
    most = 0.0
    every = 3.0 if window else 0.2
    with (
        crowd(bridge, count, first, rest, step=1 << 17, every=every, window=window) as opened,
        ValidTraffic(bridge, connections=2, pause=0.02) as traffic,
    ):
        for _ in range(scaled(8, 60)):
            most = max(most, memory_of_all(bridge))
            took = answers_within(bridge, SOON)
            time.sleep(0.3)
    assert traffic.others == []
    assert traffic.p99() < SOON
    assert most < 300
    seen(
        f"{opened} opened: at most {most:.0f} MB in all, valid p99 {traffic.p99():.3f} s, "
        f"/healthz {took:.3f} s"
    )


@pytest.mark.fault(26, "a router keeps its connection")
def test_a_connection_that_rests_for_long_is_still_served(
    bridge: BridgeProcess, seen: Callable[[str], None]
) -> None:
    bridge.start_web(DELIVER_IN_WEB="false")
    rest = scaled(12, 92)  # longer than a request may take; longer than Heroku's router waits
    rests = scaled(1, 2)
    with Wire(bridge.port) as wire:
        for _ in range(rests):
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            assert wire.answer().status == 200
            time.sleep(rest)
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert wire.answer().status == 200
    seen(f"rested {rest} s {rests} times, served")


def test_the_crowd_may_open_enough_files() -> None:
    """Or the tests above would try less than they say."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 5000
