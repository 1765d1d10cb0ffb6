"""Serve `GET /healthz`, `/readyz` and `/metrics`: whether the bridge is well, in words and figures.

They name no account and no key, and show nothing of a message. Most figures come from the outbox,
so any web process can report on deliverers, which have no port of their own.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import get_args

from flask import Blueprint, Request, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.monitoring import warehouse
from app.monitoring.metrics import counted
from app.monitoring.stats import Cause, Stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import Watched, find_all, unkept_in_all
from app.outbox.loads import Load
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
        own = [problem.sentence for problem in unkept_in_all(directions)]
        reasons, behind = _reasons(directions)
        if reasons := [*own, *reasons]:
            return {"status": "not ready", "reasons": [*reasons, *behind]}, 503
        return {"status": "ready"} | ({"reasons": behind} if behind else {})

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not may_read_metrics(request):
            raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "bridge"}))
        registry = CollectorRegistry()
        registry.register(counted())
        registry.register(_OfTheOutbox(directions))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint


def _reasons(directions: Sequence[Watched]) -> tuple[list[str], list[str]]:
    """Why messages do not flow as they should, each with what to do; and whether the warehouse is
    behind, which is no reason to send webhooks elsewhere."""
    try:
        found = find_all(directions, time.time()).problems
    except StatsUnavailable as error:
        return [str(error)], []
    grave = [problem.sentence for problem in found if problem.level == "critical"]
    behind = [
        problem.sentence
        for problem in found
        if problem.level == "warning" and problem.name.endswith(warehouse.NAME)
    ]
    return grave, behind


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
    yield from _waiting(stats, now)
    yield _deliverers(stats, now)
    yield _requests_left(stats)
    yield from _loads(stats, now)
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


def _waiting(stats: Mapping[str, Stats], now: float) -> Iterator[Metric]:
    """Why events wait, and for how long the oldest of each cause has."""
    labels = ["destination", "cause"]
    counts = GaugeMetricFamily(
        "bridge_waiting_events",
        "Events that wait: queued for their turn, retrying while the destination fails, paused "
        "because it refuses the key or is not reached, limited by the hour, or held without a key.",
        labels=labels,
    )
    ages = GaugeMetricFamily(
        "bridge_oldest_waiting_age_seconds",
        "Since the oldest event came that waits for this cause; 0 if none does.",
        labels=labels,
    )
    for name, each in stats.items():
        for cause in get_args(Cause):
            oldest = each.oldest(cause)
            counts.add_metric([name, cause], each.count(cause))
            ages.add_metric([name, cause], 0.0 if oldest is None else max(0.0, now - oldest))
    yield counts
    yield ages


def _deliverers(stats: Mapping[str, Stats], now: float) -> Metric:
    deliverers = next(iter(stats.values())).deliverers
    running = sum(each.is_running(now) for each in deliverers)
    return GaugeMetricFamily(
        "bridge_deliverers", "Processes that send, and reported it lately.", value=running
    )


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


def _loads(stats: Mapping[str, Stats], now: float) -> Iterator[Metric]:
    """How far the loads into the warehouse are, of what is loaded."""
    loads = {name: each.load for name, each in stats.items() if each.load}
    for title, help_text, value_of in _LOADS:
        gauge = GaugeMetricFamily(f"bridge_warehouse_{title}", help_text, labels=["destination"])
        for name, load in loads.items():
            gauge.add_metric([name], value_of(load, now))
        if loads:
            yield gauge


_LOADS: tuple[tuple[str, str, Callable[[Load, float], float]], ...] = (
    (
        "lag_seconds",
        "Since the oldest event came that is not in the warehouse yet; 0 if all are.",
        warehouse.lag,
    ),
    (
        "last_load_timestamp_seconds",
        "When a load last came to its end; 0 if none did.",
        lambda load, _: load.loaded_at or 0.0,
    ),
    (
        "loaded_events",
        "Events that were loaded, repeats included.",
        lambda load, _: load.count,
    ),
    (
        "failing",
        "1 if the last load failed, 0 if not.",
        lambda load, _: float(load.error is not None),
    ),
)
"""The name, help text and value of each figure of the loads."""

_AGES_AND_PAUSES: tuple[tuple[str, str, Callable[[Stats, float], float]], ...] = (
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
        lambda stats, _: sum(each.cause == "paused" for each in stats.waiting),
    ),
)
"""The name, help text and value of each figure that is one number."""
