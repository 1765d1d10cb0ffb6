"""Count webhooks, batches and messages for Prometheus, over all processes.

If PROMETHEUS_MULTIPROC_DIR is set, as it always is under gunicorn, each process counts in a file
there. So its counts outlive it, and any process can report the sum. Figures that the outbox has,
such as how many messages wait, are read from it instead (`endpoints.py`).
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

ROOM = 4 << 20
"""Bytes that one process may need for its counts. If its file cannot grow, counting kills it."""


def ensure_folder() -> None:
    """Make sure that there is a folder with room for this process's counts: the one that is set, or
    else a new one on disk. It is called after a fork too, because a system's clean-up may have
    removed the folder."""
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
    """Remove folders of processes that were killed. They take memory, and only a process that ends
    properly removes its own."""
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
    if hasattr(os, "posix_fallocate"):  # macOS has neither this nor /dev/shm
        os.posix_fallocate(file, 0, size)


ensure_folder()

# counts of several processes have no such series, so those of one process have none either
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
_delivery_seconds = Histogram(
    "bridge_delivery_duration_seconds",
    "From the receipt of an event to the answer by which its destination took it.",
    ["destination"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600, 6 * 3600, 24 * 3600),
    registry=_own,
)
_delivered = Counter(
    "bridge_events_delivered",
    "Events that a destination took, at the first attempt or in a retry.",
    ["destination", "attempt"],
    registry=_own,
)
_request_seconds = Histogram(
    "bridge_request_duration_seconds",
    "Requests to a destination, by the status that it answered with; none if it did not answer.",
    ["destination", "code"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
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
    "RateLimited": "rate_limited",
    "Fault": "fault",
}
"""The argument `result` of `count_batch` → the label in the metric."""


def start_at_zero(destination: str) -> None:
    """Open this process's files, and begin the series that alerts use at 0.

    In a series that begins with its first count, Prometheus' `increase()` misses that count. The
    files get their full size now, so that no webhook fails because its count cannot be written.
    """
    for outcome in ("ignored", "quarantined", "refused", "not_kept"):
        _webhooks.labels(destination, outcome, "")
    for result in RESULTS.values():
        _batches.labels(destination, result)
    for outcome in ("sent", "later", "dead", "released"):
        _events.labels(destination, outcome)
    for attempt in ("first", "retry"):
        _delivered.labels(destination, attempt)
    _delivery_seconds.labels(destination)
    _request_seconds.labels(destination, "200")
    for own in _files(f"*_{os.getpid()}.db"):
        with suppress(OSError), own.open("r+b") as file:
            _reserve(file.fileno(), own.stat().st_size)


Arguments = ParamSpec("Arguments")


def _ignoring_errors(count: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """The same function without its errors: a webhook must not fail because it cannot be
    counted."""

    @wraps(count)
    def count_if_possible(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
        with suppress(Exception):
            count(*args, **kwargs)

    return count_if_possible


@_ignoring_errors
def count_webhook(destination: str, outcome: str, collection: str, seconds: float) -> None:
    """Count one answer to a webhook. The collection is "" if no message came of it. `seconds` is
    from the whole body to the answer."""
    _webhooks.labels(destination, outcome.replace(" ", "_"), collection).inc()
    if outcome in KEPT:
        _accept_seconds.observe(seconds)


@_ignoring_errors
def count_batch(destination: str, result: str, code: int | None, seconds: float) -> None:
    """Count one batch. `result` is "Sent", "Fault", or the name of a `SendError`, `code` the HTTP
    status of the answer."""
    _batches.labels(destination, RESULTS.get(result, "fault")).inc()
    _request_seconds.labels(destination, "none" if code is None else str(code)).observe(seconds)


@_ignoring_errors
def count_delivered(destination: str, delivered: Iterable[tuple[float, int]]) -> None:
    """Count messages that were taken. Of each there are the seconds since its receipt, and how many
    tries failed."""
    histogram = _delivery_seconds.labels(destination)
    for age, failed in delivered:
        histogram.observe(age)
        _delivered.labels(destination, "retry" if failed else "first").inc()


@_ignoring_errors
def count_settled(destination: str, outcome: str, events: int) -> None:
    """Count messages whose outcome is sent, later, dead or released."""
    _events.labels(destination, outcome).inc(events)


def counted() -> Collector:
    """The counts of all processes that share PROMETHEUS_MULTIPROC_DIR; without it, this
    process's."""
    if list(_files("*.db")):
        return MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    return _own  # also if a clean-up has removed the files


def _files(pattern: str) -> Iterator[Path]:
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder).glob(pattern) if folder else iter(())
