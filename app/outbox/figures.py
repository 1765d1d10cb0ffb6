"""Census → Prometheus figures.

Since when, not for how long, as Prometheus advises: `time() - bridge_last_sent_timestamp_seconds`
is right at any time, not at that of the scrape alone.
"""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from app.outbox.census import Census


def census_to_figures(census: Census | None, now: float) -> Iterator[Metric]:
    """Of None, where the database is out of reach, only that it is."""
    yield _gauge("database_up", "1 where the outbox can be read, 0 where not.", float(bool(census)))
    if census is None:
        return
    by_state = GaugeMetricFamily(
        "bridge_events",
        "Events in the outbox, each in one state: held ones wait for a write key, pending ones do "
        "not.",
        labels=["state"],
    )
    for state, count in census.states.items():
        by_state.add_metric([state], count)
    yield by_state
    lately = GaugeMetricFamily(
        "bridge_events_last_hour",
        "Events that came to this state within the hour.",
        labels=["state"],
    )
    lately.add_metric(["dead"], census.died_lately)
    lately.add_metric(["quarantined"], census.quarantined_lately)
    yield lately
    oldest = now if census.oldest_pending is None else census.oldest_pending
    yield _gauge(
        "oldest_pending_age_seconds",
        "Since the oldest event came that waits, held or not; 0 where none waits.",
        max(0.0, now - oldest),
    )
    yield _gauge(
        "last_webhook_timestamp_seconds",
        "When the latest event came that is still kept; 0 where none is.",
        census.last_webhook or 0.0,
    )
    yield _gauge(
        "last_sent_timestamp_seconds",
        "When Segment last took an event that is still kept; 0 where there is none.",
        census.last_sent or 0.0,
    )
    yield _gauge(
        "database_size_bytes",
        "Tables and indexes; of PostgreSQL the whole database.",
        census.database_bytes,
    )
    yield _gauge(
        "paused_accounts",
        "Drip accounts whose events wait because Segment refused their key, or its address is "
        "wrong.",
        len(census.pauses),
    )


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bridge_{name}", help_text, value=value)
