"""Attack 17: a body in chunks that goes on for gigabytes."""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.faults.attacks import WEBHOOK, WRONG, ValidTraffic, head, memory
from tests.faults.conftest import scaled
from tests.support.bridge_process import BridgeProcess
from tests.support.wire import Wire

MIB = 1 << 20
CHUNK = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
TINY_CHUNKS = b"1\r\nx\r\n" * 10_000
MOST_MEMORY = 40 * MIB


class Sent(NamedTuple):
    """What became of one such body."""

    status: int | None
    taken: int
    grown: int


def send_endlessly(bridge: BridgeProcess, target: str, chunk: bytes, size: int) -> Sent:
    """Send as fast as it is taken, whatever is answered, and watch the worker's memory."""
    status, taken, before = None, 0, memory(bridge)
    largest = before
    with Wire(bridge.port) as wire:

        def listen() -> None:
            nonlocal status
            with suppress(OSError):
                status = wire.answer().status

        listener = threading.Thread(target=listen)
        listener.start()
        with suppress(OSError):
            wire.send(head(target) + b"Transfer-Encoding: chunked\r\n\r\n")
            while taken < size:
                wire.send(chunk)
                taken += len(chunk)
                largest = max(largest, memory(bridge))
        listener.join()
    return Sent(status, taken, largest - before)


@pytest.mark.fault(17, "a chunked body of 2 GB (small scale: 64 MB)")
@pytest.mark.parametrize(
    ("target", "chunk", "status"),
    [
        (WEBHOOK, CHUNK, 413),
        (WRONG, CHUNK, 401),
        (WEBHOOK, TINY_CHUNKS, 413),
        (WRONG, TINY_CHUNKS, 401),
    ],
    ids=["right token", "wrong token", "right, chunks of a byte", "wrong, chunks of a byte"],
)
def test_a_body_without_end_is_refused_within_memory(
    attacked: BridgeProcess,
    target: str,
    chunk: bytes,
    status: int,
    seen: Callable[[str], None],
) -> None:

    with ValidTraffic(attacked, pause=0.01) as traffic:
        sent = send_endlessly(attacked, target, chunk, scaled(64, 2048) * MIB)
    # of tiny chunks a busy machine may not have read the largest body within a request's time
    assert sent.status == status or (chunk is TINY_CHUNKS and sent.status is None)
    assert traffic.p99() < scaled(4, 1)  # other tests run beside, at the small scale
    assert traffic.others == []
    assert sent.grown < MOST_MEMORY
    seen(
        f"{sent.status}, {sent.taken / MIB:,.0f} MiB had left the sender, "
        f"the worker grew by {sent.grown / MIB:.0f} MiB, valid p99 {traffic.p99():.3f} s"
    )
