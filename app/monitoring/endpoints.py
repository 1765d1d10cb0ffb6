"""Serve `GET /healthz`, `/readyz` and `/metrics`: whether the bridge is well, in words and figures.

They name no account and no key, and show nothing of a message. Most figures come from the outbox,
so any web process can report on deliverers, which have no port of their own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from flask import Blueprint, Request, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.destination import Destination, Labels
from app.monitoring.checks import NOT_READY, failed_checks, unkept
from app.monitoring.metrics import counted
from app.monitoring.stats import Stats
from app.monitoring.stats_cache import StatsCache, StatsUnavailable
from app.version import VERSION


def create_endpoints(
    stats: StatsCache,
    destination: Destination,
    is_kept: Callable[[], bool],
    may_read_metrics: Callable[[Request], bool],
) -> Blueprint:
    """The blueprint with the three endpoints. `is_kept` returns whether this process could keep
    the latest webhook, `may_read_metrics` whether a caller may read `/metrics`."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> ResponseReturnValue:
        return {"status": "ok"}

    @blueprint.get("/readyz")
    def ready() -> ResponseReturnValue:
        own = [] if is_kept() else [unkept(destination.labels)]
        if reasons := [*own, *_reasons(stats, destination.labels)]:
            return {"status": "not ready", "reasons": reasons}, 503
        return {"status": "ready"}

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not may_read_metrics(request):
            raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "bridge"}))
        registry = CollectorRegistry()
        registry.register(counted())
        registry.register(_OfTheOutbox(stats, destination))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint


def _reasons(cache: StatsCache, labels: Labels) -> list[str]:
    """Why messages do not flow as they should, each with what to do."""
    try:
        failed = failed_checks(cache.latest(), labels, time.time())
    except StatsUnavailable as error:
        return [str(error)]
    return [sentence for name, sentence in failed.items() if name in NOT_READY]


class _OfTheOutbox(Collector):
    def __init__(self, cache: StatsCache, destination: Destination) -> None:
        self._cache = cache
        self._destination = destination

    def collect(self) -> Iterator[Metric]:
        """Called by Prometheus' client for each scrape."""
        build = {"version": VERSION}
        yield InfoMetricFamily("bridge_build", "The bridge's version.", build)
        stats = None
        with suppress(StatsUnavailable):
            stats = self._cache.latest()
        yield from stats_to_metrics(stats, self._destination, time.time())


def stats_to_metrics(stats: Stats | None, destination: Destination, now: float) -> Iterator[Metric]:
    """The figures of one destination. Without stats, only that the database is out of reach.

    Most times are given as a timestamp, not as an age, as Prometheus advises: an age computed from
    a timestamp is right at any moment, not only at that of the scrape.
    """
    reached = float(stats is not None)
    yield GaugeMetricFamily(
        "bridge_database_up", "1 if the outbox can be read, 0 if not.", value=reached
    )
    if stats is None:
        return
    yield GaugeMetricFamily(
        "bridge_database_size_bytes",
        "Tables and indexes; of PostgreSQL the whole database.",
        value=stats.database_bytes,
    )
    by_state = GaugeMetricFamily(
        "bridge_events",
        "Events in the outbox, each in one state: held ones wait for a key, pending ones do not.",
        labels=["destination", "state"],
    )
    for state, count in stats.states.items():
        by_state.add_metric([destination.name, state], count)
    yield by_state
    lately = GaugeMetricFamily(
        "bridge_events_last_hour",
        "Events that came to this state within the hour.",
        labels=["destination", "state"],
    )
    lately.add_metric([destination.name, "dead"], stats.died_lately)
    lately.add_metric([destination.name, "quarantined"], stats.quarantined_lately)
    yield lately
    for name, help_text, value in _ages_and_pauses(stats, now):
        gauge = GaugeMetricFamily(f"bridge_{name}", help_text, labels=["destination"])
        gauge.add_metric([destination.name], value)
        yield gauge


def _ages_and_pauses(stats: Stats, now: float) -> Iterator[tuple[str, str, float]]:
    """The name, help text and value of each figure that is one number."""
    oldest = now if stats.oldest_pending is None else stats.oldest_pending
    yield (
        "oldest_pending_age_seconds",
        "Since the oldest event came that waits, held or not; 0 if none waits.",
        max(0.0, now - oldest),
    )
    yield (
        "last_webhook_timestamp_seconds",
        "When the latest event came that is still kept; 0 if none is.",
        stats.last_webhook or 0.0,
    )
    yield (
        "last_sent_timestamp_seconds",
        "When the destination last took an event that is still kept; 0 if there is none.",
        stats.last_sent or 0.0,
    )
    yield (
        "paused_accounts",
        "Accounts whose events wait because their key was refused, or the address is wrong.",
        len(stats.pauses),
    )
