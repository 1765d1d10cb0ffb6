"""What the processes count, by the conventions of Prometheus.

Where PROMETHEUS_MULTIPROC_DIR is set, as under gunicorn it always is, each process counts in a file
there: what a process counted outlives it, and any process can tell the sum. What the outbox knows
by itself, such as how much waits, is read from it (app/outbox/figures.py).
"""

import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


def _make_folder() -> None:
    if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)


_make_folder()

# several processes together have none: the same figures in either case
disable_created_metrics()  # type: ignore[no-untyped-call]

_own = CollectorRegistry()

_webhooks = Counter(
    "bridge_webhooks",
    "Webhooks answered, by outcome and by the Segment collection of those that became an event.",
    ["outcome", "collection"],
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
    "Batches posted to Segment, by what its answer meant: sent, later, refused for an event in "
    "it, key_refused, or fault, which is the bridge's own.",
    ["result"],
    registry=_own,
)
_events = Counter(
    "bridge_events_settled",
    "Events of those batches, by what became of them; released ones go back untried.",
    ["outcome"],
    registry=_own,
)

KEPT = frozenset({"accepted", "duplicate", "quarantined"})

RESULTS = {
    "Sent": "sent",
    "TryAgain": "later",
    "BatchRefused": "refused",
    "KeyRefused": "key_refused",
    "Fault": "fault",
}
"""What `count_batch` is told → the label."""


def _start_at_zero() -> None:
    """A series that begins with its first event hides this event from `increase()`: what alerts
    are about has to be there before."""
    for outcome in ("ignored", "quarantined", "refused", "not_kept"):
        _webhooks.labels(outcome, "")
    for result in RESULTS.values():
        _batches.labels(result)
    for outcome in ("sent", "later", "dead", "released"):
        _events.labels(outcome)


_start_at_zero()


def open_after_fork() -> None:
    """The process's own file, now: a webhook must not fail because its count cannot be written.
    Something that tidies up may have taken the folder."""
    _make_folder()
    _webhooks.labels("refused", "").inc(0)


def count_webhook(outcome: str, collection: str, seconds: float) -> None:
    """One answer of the app. No collection, "", where no event came of it."""
    _webhooks.labels(outcome.replace(" ", "_"), collection).inc()
    if outcome in KEPT:
        _accept_seconds.observe(seconds)


def count_batch(result: str) -> None:
    """One answer of the destination: "Sent", "Fault", or the name of a `SendError`."""
    _batches.labels(RESULTS.get(result, "fault")).inc()


def count_settled(outcome: str, events: int) -> None:
    """Events: sent, later, dead, released."""
    _events.labels(outcome).inc(events)


def counted() -> Collector:
    """What all processes counted that share PROMETHEUS_MULTIPROC_DIR; without it, this one."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return MultiProcessCollector(None)  # type: ignore[no-untyped-call]
    return _own
