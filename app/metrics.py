"""What this process counts, by the conventions of Prometheus; several processes are added up.

What the outbox knows by itself, such as how much waits, is read from it when it is asked for
(app/health.py).
"""

from prometheus_client import Counter, Histogram

_webhooks = Counter(
    "bridge_webhooks",
    "Webhooks answered, by outcome and by the Segment collection that they became.",
    ["outcome", "collection"],
)
_accept_seconds = Histogram(
    "bridge_webhook_duration_seconds",
    "From a webhook's whole request to its answer: its event is on disk by then.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
_batches = Counter(
    "bridge_batches",
    "Batches posted to Segment, by what its answer meant.",
    ["result"],
)
_events = Counter(
    "bridge_events_settled",
    "Events that a batch's answer settled, by what became of them.",
    ["outcome"],
)


def count_webhook(outcome: str, collection: str, seconds: float) -> None:
    """One answer. No collection, "", where the event has none."""
    _webhooks.labels(outcome.replace(" ", "_"), collection).inc()
    _accept_seconds.observe(seconds)


def count_batch(result: str) -> None:
    """One answer of the destination: sent, later, refused (an event of it), key_refused."""
    _batches.labels(result).inc()


def count_settled(outcome: str, events: int) -> None:
    """Events: sent, later, dead, released."""
    _events.labels(outcome).inc(events)
