"""Attack 16: hundreds of connections that never get to the point, while valid traffic goes on."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice

import pytest

from tests.faults.attacks import WRONG, ValidTraffic, head, post
from tests.faults.conftest import FULL, scaled
from tests.support.bridge_process import ROOT, BridgeProcess
from tests.support.wire import Wire

SENDERS = 200

CHUNKED = head(WRONG) + b"Transfer-Encoding: chunked\r\n\r\n"
ZEROS = b"0" * 30

ATTACKS = {
    "headers": [
        b"POST ",
        b"/",
        b"?",
        *([b"x"] * 50),
        b" HTTP/1.1\r\nHost: example.com\r\nX: ",
        b"y",
    ],
    "bodies": [head(WRONG) + b"Content-Length: 4000\r\n\r\n", b"{"],
    "bodies of a length with zeros": [head(WRONG) + b"Content-Length: %s9\r\n\r\n" % ZEROS, b"{"],
    "chunks": [CHUNKED, b"1\r\n", b"{", b"\r\n"],
    "chunks of a length with zeros": [CHUNKED + ZEROS + b"4\r\n\r\n\r\n\r\n", b"0"],
    "a chunk beyond counting": [CHUNKED + b"f" * 16 + b"\r\n", b"x"],
    "a chunk line without end": [CHUNKED + b"a" * 16 + b";" + b"a" * 60_000, b"a"],
    "a trailer without end": [CHUNKED + b"0\r\nX: " + b"\r\r\n\r" * 15_000, b"\r"],
    "nothing at all": [b""],
    "an answer taken, the connection kept": [post(b"{}", WRONG, b"Connection: close\r\n"), b""],
}


def drip(port: int, kinds: list[list[bytes]], seconds: float) -> int:
    """Open the senders and let each say a piece at a time; those cut off come again."""
    wires: list[tuple[Wire, Iterator[bytes]]] = []
    next_kind = cycle(kinds)
    opened = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while len(wires) < SENDERS:
            opened += 1
            wires.append((Wire(port), pieces_of(next(next_kind))))
        for sender in list(wires):
            try:
                sender[0].send(next(sender[1]))
            except OSError:
                sender[0].close()
                wires.remove(sender)
        time.sleep(0.02)
    for wire, _ in wires:
        wire.close()
    return opened


def pieces_of(pieces: list[bytes]) -> Iterator[bytes]:
    """The first ones once, the last three again and again."""
    yield from pieces
    yield from cycle(islice(pieces, max(len(pieces) - 3, 1), None) if pieces[1:] else [b""])


@pytest.mark.fault(16, f"{SENDERS} slow senders of {len(ATTACKS)} kinds, all kinds and each alone")
def test_slow_senders_do_not_hold_up_valid_traffic(
    attacked: BridgeProcess, seen: Callable[[str], None]
) -> None:
    alone = {kind: [pieces] for kind, pieces in ATTACKS.items()}
    slowest: dict[str, float] = {}
    opened = answers = 0
    for name, kinds in {"all kinds": list(ATTACKS.values()), **(alone if FULL else {})}.items():
        with ValidTraffic(attacked, pause=0.01) as traffic:
            opened += drip(attacked.port, kinds, scaled(25, 100) / 10)
        assert traffic.others == []
        slowest[name] = traffic.p99()
        answers += len(traffic.seconds)
        assert slowest[name] < 1, name
    assert attacked.log.read_text().count("Booting worker") == 1
    name = max(slowest, key=lambda name: slowest[name])
    seen(
        f"{opened:,} connections opened, {answers:,} valid webhooks answered meanwhile, "
        f"highest p99 {slowest[name]:.3f} s ({name})"
    )


FLOOD = """
import sys, threading
from tests.support.wire import Wire

def run():
    with Wire({port}, timeout=60) as wire:
        try:
            wire.send(request)
            statuses.append(wire.answer().status)
        except ConnectionError:
            pass  # cut off while it was still sending

request = {head!r} + b"1\\r\\nx\\r\\n" * {chunks} + b"0\\r\\n\\r\\n"
statuses = []
threads = [threading.Thread(target=run) for _ in range({senders})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*set(statuses))
"""


@pytest.mark.parametrize(("target", "status"), [(WRONG, "401"), ("/nothing", "411")])
@pytest.mark.fault(16, f"{SENDERS} senders of 180,000 chunks of one byte each")
def test_a_flood_of_chunks_does_not_hold_up_valid_traffic(
    attacked: BridgeProcess, seen: Callable[[str], None], target: str, status: str
) -> None:
    chunked = head(target) + b"Transfer-Encoding: chunked\r\n\r\n"
    code = FLOOD.format(
        port=attacked.port, head=chunked, chunks=scaled(20_000, 180_000), senders=SENDERS
    )
    with ValidTraffic(attacked, connections=8, pause=0.01) as traffic:
        said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
        time.sleep(0.2)
    assert said.split() == [status]
    assert traffic.others == []
    assert traffic.p99() < 1
    seen(f"to {target[:9]}…: {status}, p99 {traffic.p99():.3f} s")
