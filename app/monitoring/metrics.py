"""What the processes count, by the conventions of Prometheus.

Where PROMETHEUS_MULTIPROC_DIR is set, as under gunicorn it always is, each process counts in a file
there: what a process counted outlives it, and any process can tell the sum. What the outbox knows
by itself, such as how much waits, is read from it (app/monitoring/endpoints.py).
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

ROOM = 4 << 20
"""Bytes that a process may come to count in: in a file that cannot grow, counting would kill it."""


def ensure_folder() -> None:
    """A folder with room for this process: the one that is set, or else a new one on disk. Called
    after a fork too: something that tidies up may have taken the folder."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if folder and not _has_room(Path(folder)):
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix=f"bridge-{os.getpid()}-")


def _has_room(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            _reserve(probe.fileno(), ROOM)
    except OSError:
        return False
    return True


def remove_folders_of_the_dead() -> None:
    """Whoever ends as it should removes its own; a killed one leaves it, in memory."""
    for place in {Path("/dev/shm"), Path(tempfile.gettempdir())}:  # noqa: S108
        for folder in place.glob("bridge-[0-9]*-*"):
            with suppress(OSError):
                if folder.stat().st_uid == os.getuid() and not _runs(
                    int(folder.name.split("-")[1])
                ):
                    shutil.rmtree(folder)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):  # not on macOS, which has no /dev/shm either
        os.posix_fallocate(file, 0, size)


ensure_folder()

# several processes together have none: the same figures in either case
disable_created_metrics()  # type: ignore[no-untyped-call]

_own = CollectorRegistry()

_webhooks = Counter(
    "bridge_webhooks",
    "Webhooks answered, by where their events go, by outcome, and by the collection of those that "
    "became an event.",
    ["destination", "outcome", "collection"],
    registry=_own,
)
_accept_seconds = Histogram(
    "bridge_accept_duration_seconds",
    "From a whole webhook to its answer, of those that were kept: they are on disk by then.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=_own,
)
_batches = Counter(
    "bridge_batches",
    "Batches posted to a destination, by what its answer meant: sent, later, refused for an event "
    "in it, key_refused, forbidden for either, unreachable, or fault, which is the bridge's own.",
    ["destination", "result"],
    registry=_own,
)
_events = Counter(
    "bridge_events_settled",
    "Events of those batches, by what became of them; released ones go back untried.",
    ["destination", "outcome"],
    registry=_own,
)

KEPT = frozenset({"accepted", "duplicate", "quarantined"})

RESULTS = {
    "Sent": "sent",
    "RetryableError": "later",
    "BatchRejected": "refused",
    "Forbidden": "forbidden",
    "InvalidKey": "key_refused",
    "Unreachable": "unreachable",
    "Fault": "fault",
}
"""What `count_batch` is given → the label."""


def start_at_zero(destination: str) -> None:
    """Open this process's files, and begin the series that alerts are about.

    A series that begins with its first event hides this event from `increase()`. The files get all
    their room now: a webhook must not fail because its count cannot be written.
    """
    for outcome in ("ignored", "quarantined", "refused", "not_kept"):
        _webhooks.labels(destination, outcome, "")
    for result in RESULTS.values():
        _batches.labels(destination, result)
    for outcome in ("sent", "later", "dead", "released"):
        _events.labels(destination, outcome)
    for own in _files(f"*_{os.getpid()}.db"):
        with suppress(OSError), own.open("r+b") as file:
            _reserve(file.fileno(), own.stat().st_size)


Given = ParamSpec("Given")


def _or_not(count: Callable[Given, None]) -> Callable[Given, None]:
    """A count that cannot be written costs nobody what is counted."""

    @wraps(count)
    def count_or_not(*given: Given.args, **named: Given.kwargs) -> None:
        with suppress(Exception):
            count(*given, **named)

    return count_or_not


@_or_not
def count_webhook(destination: str, outcome: str, collection: str, seconds: float) -> None:
    """One answer of the app. No collection, "", where no event came of it."""
    _webhooks.labels(destination, outcome.replace(" ", "_"), collection).inc()
    if outcome in KEPT:
        _accept_seconds.observe(seconds)


@_or_not
def count_batch(destination: str, result: str) -> None:
    """One answer of the destination: "Sent", "Fault", or the name of a `SendError`."""
    _batches.labels(destination, RESULTS.get(result, "fault")).inc()


@_or_not
def count_settled(destination: str, outcome: str, events: int) -> None:
    """Events: sent, later, dead, released."""
    _events.labels(destination, outcome).inc(events)


def counted() -> Collector:
    """What all processes counted that share PROMETHEUS_MULTIPROC_DIR; without it, this one."""
    if list(_files("*.db")):
        return MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    return _own  # also if something has taken the files


def _files(pattern: str) -> Iterator[Path]:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder).glob(pattern) if folder else iter(())
