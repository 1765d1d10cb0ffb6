"""Serve `GET /healthz`, `/readyz` and `/metrics`: whether the bridge is well, in words and figures.

They name no account and no key, and show nothing of a message. Most figures come from the outbox,
so any web process can report on deliverers, which have no port of their own.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

from flask import Blueprint, Request, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.monitoring.metrics import counted
from app.monitoring.stats import Stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched, check_all, unkept_in_all
from app.version import VERSION


def create_endpoints(
    directions: Sequence[Watched], may_read_metrics: Callable[[Request], bool]
) -> Blueprint:
    """The blueprint with the three endpoints. `may_read_metrics` returns whether a caller may read
    `/metrics`."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> ResponseReturnValue:
        return {"status": "ok"}

    @blueprint.get("/readyz")
    def ready() -> ResponseReturnValue:
        own = unkept_in_all(directions).values()
        if reasons := [*own, *_reasons(directions)]:
            return {"status": "not ready", "reasons": reasons}, 503
        return {"status": "ready"}

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not may_read_metrics(request):
            raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "bridge"}))
        registry = CollectorRegistry()
        registry.register(counted())
        registry.register(_OfTheOutbox(directions))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint


def _reasons(directions: Sequence[Watched]) -> list[str]:
    """Why messages do not flow as they should, each with what to do."""
    try:
        return check_all(directions, time.time()).not_ready
    except StatsUnavailable as error:
        return [str(error)]


class _OfTheOutbox(Collector):
    def __init__(self, directions: Sequence[Watched]) -> None:
        self._directions = directions

    def collect(self) -> Iterator[Metric]:
        """Called by Prometheus' client for each scrape."""
        build = {"version": VERSION}
        yield InfoMetricFamily("bridge_build", "The bridge's version.", build)
        stats = None
        with suppress(StatsUnavailable):
            stats = {each.destination.name: each.latest() for each in self._directions}
        yield from stats_to_metrics(stats, time.time())


def stats_to_metrics(stats: Mapping[str, Stats] | None, now: float) -> Iterator[Metric]:
    """The figures of each destination, by its name, and of the database, which they share. Without
    stats, only that the database is out of reach.

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
        value=max(each.database_bytes for each in stats.values()),
    )
    by_state = GaugeMetricFamily(
        "bridge_events",
        "Events in the outbox, each in one state: held ones wait for a key, pending ones do not.",
        labels=["destination", "state"],
    )
    for name, each in stats.items():
        for state, count in each.states.items():
            by_state.add_metric([name, state], count)
    yield by_state
    yield _requests_left(stats)
    lately = GaugeMetricFamily(
        "bridge_events_last_hour",
        "Events that came to this state within the hour.",
        labels=["destination", "state"],
    )
    for name, each in stats.items():
        lately.add_metric([name, "dead"], each.died_lately)
        lately.add_metric([name, "quarantined"], each.quarantined_lately)
    yield lately
    for title, help_text, value_of in _AGES_AND_PAUSES:
        gauge = GaugeMetricFamily(f"bridge_{title}", help_text, labels=["destination"])
        for name, each in stats.items():
            gauge.add_metric([name], value_of(each, now))
        yield gauge


def _requests_left(stats: Mapping[str, Stats]) -> Metric:
    """The least of any account, which is not named."""
    family = GaugeMetricFamily(
        "bridge_requests_left",
        "Requests that a destination still takes within the hour, of the account with the fewest.",
        labels=["destination", "bucket"],
    )
    for name, each in stats.items():
        for bucket in sorted({quota.bucket for quota in each.quotas}):
            left = min(quota.left for quota in each.quotas if quota.bucket == bucket)
            family.add_metric([name, bucket], left)
    return family


def _age_of_oldest(stats: Stats, now: float) -> float:
    return 0.0 if stats.oldest_pending is None else max(0.0, now - stats.oldest_pending)


_AGES_AND_PAUSES: tuple[tuple[str, str, Callable[[Stats, float], float]], ...] = (
    (
        "oldest_pending_age_seconds",
        "Since the oldest event came that waits, held or not; 0 if none waits.",
        _age_of_oldest,
    ),
    (
        "last_webhook_timestamp_seconds",
        "When the latest event came that is still kept; 0 if none is.",
        lambda stats, _: stats.last_webhook or 0.0,
    ),
    (
        "last_sent_timestamp_seconds",
        "When the destination last took an event that is still kept; 0 if there is none.",
        lambda stats, _: stats.last_sent or 0.0,
    ),
    (
        "paused_accounts",
        "Accounts whose events wait because their key was refused, or the address is wrong.",
        lambda stats, _: len(stats.pauses),
    ),
)
"""The name, help text and value of each figure that is one number."""
