"""`GET /healthz`, `/readyz` and `/metrics`: is the bridge well, in words and in figures.

They contain figures only: no account, no key, nothing of an event. Most come from the outbox, so
any web process can report on deliverers, which have no port of their own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.monitoring.checks import NOT_READY, UNKEPT, failed_checks
from app.monitoring.metrics import counted
from app.monitoring.stats import Stats
from app.monitoring.stats_cache import StatsCache, StatsUnavailable
from app.version import VERSION
from app.web.auth import is_valid_token, token_from


def create_endpoints(
    stats: StatsCache, is_kept: Callable[[], bool], metrics_token: str | None
) -> Blueprint:
    """The blueprint with the three endpoints. `is_kept` says whether this process could keep the
    latest webhook; `/metrics` asks for the token, if there is one."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> ResponseReturnValue:
        return {"status": "ok"}

    @blueprint.get("/readyz")
    def ready() -> ResponseReturnValue:
        unkept = [] if is_kept() else [UNKEPT]
        if reasons := [*unkept, *_reasons(stats)]:
            return {"status": "not ready", "reasons": reasons}, 503
        return {"status": "ready"}

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if metrics_token and not is_valid_token(token_from(request), [metrics_token]):
            raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "bridge"}))
        registry = CollectorRegistry()
        registry.register(counted())
        registry.register(_OfTheOutbox(stats))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint


def _reasons(cache: StatsCache) -> list[str]:
    """Why events do not flow as they should, each with what to do."""
    try:
        troubles = failed_checks(cache.latest(), time.time())
    except StatsUnavailable as error:
        return [str(error)]
    return [sentence for name, sentence in troubles.items() if name in NOT_READY]


class _OfTheOutbox(Collector):
    def __init__(self, cache: StatsCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """Read when it is asked for."""
        build = {"version": VERSION}
        yield InfoMetricFamily("bridge_build", "The bridge's version.", build)
        stats = None
        with suppress(StatsUnavailable):
            stats = self._cache.latest()
        yield from stats_to_metrics(stats, time.time())


def stats_to_metrics(stats: Stats | None, now: float) -> Iterator[Metric]:
    """Of None, where the database is out of reach, only that it is."""
    yield _gauge("database_up", "1 where the outbox can be read, 0 where not.", float(bool(stats)))
    if stats is None:
        return
    by_state = GaugeMetricFamily(
        "bridge_events",
        "Events in the outbox, each in one state: held ones wait for a write key, pending ones do "
        "not.",
        labels=["state"],
    )
    for state, count in stats.states.items():
        by_state.add_metric([state], count)
    yield by_state
    lately = GaugeMetricFamily(
        "bridge_events_last_hour",
        "Events that came to this state within the hour.",
        labels=["state"],
    )
    lately.add_metric(["dead"], stats.died_lately)
    lately.add_metric(["quarantined"], stats.quarantined_lately)
    yield lately
    oldest = now if stats.oldest_pending is None else stats.oldest_pending
    yield _gauge(
        "oldest_pending_age_seconds",
        "Since the oldest event came that waits, held or not; 0 where none waits.",
        max(0.0, now - oldest),
    )
    yield _gauge(
        "last_webhook_timestamp_seconds",
        "When the latest event came that is still kept; 0 where none is.",
        stats.last_webhook or 0.0,
    )
    yield _gauge(
        "last_sent_timestamp_seconds",
        "When Segment last took an event that is still kept; 0 where there is none.",
        stats.last_sent or 0.0,
    )
    yield _gauge(
        "database_size_bytes",
        "Tables and indexes; of PostgreSQL the whole database.",
        stats.database_bytes,
    )
    yield _gauge(
        "paused_accounts",
        "Drip accounts whose events wait because Segment refused their key, or its address is "
        "wrong.",
        len(stats.pauses),
    )


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"bridge_{name}", help_text, value=value)
