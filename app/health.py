"""`GET /healthz`, `/readyz` and `/metrics`: is the bridge well, in words and in figures.

They contain figures only: no account, no key, nothing of an event. Most come from the outbox, so
any web process can report on deliverers, which have no port of their own.
"""

import time
from collections.abc import Iterator
from contextlib import suppress

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from app.bridge import Bridge
from app.metrics import counted
from app.outbox.census_taker import CensusTaker, NoCensus
from app.outbox.figures import census_to_figures
from app.outbox.group_commit import GroupCommit
from app.source.auth import is_known, offered_token
from app.trouble import NOT_READY, UNKEPT, census_to_troubles
from app.version import VERSION


def create_health(bridge: Bridge) -> Blueprint:
    """The blueprint with the three endpoints."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def alive() -> ResponseReturnValue:
        return {"status": "ok"}

    @blueprint.get("/readyz")
    def ready() -> ResponseReturnValue:
        if reasons := [*_of_webhooks(bridge.outbox), *_reasons(bridge.census)]:
            return {"status": "not ready", "reasons": reasons}, 503
        return {"status": "ready"}

    @blueprint.get("/metrics")
    def metrics() -> Response:
        wanted = bridge.settings.metrics_token
        if wanted and not is_known(offered_token(request), [wanted]):
            raise Unauthorized(www_authenticate=WWWAuthenticate("basic", {"realm": "bridge"}))
        registry = CollectorRegistry()
        registry.register(counted())
        registry.register(_OfTheOutbox(bridge.census))
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    return blueprint


def _of_webhooks(outbox: GroupCommit) -> list[str]:
    """What this process knows although the database can be read."""
    return [UNKEPT] if outbox.trouble else []


def _reasons(taker: CensusTaker) -> list[str]:
    """Why events do not flow as they should, each with what to do."""
    try:
        troubles = census_to_troubles(taker.latest(), time.time())
    except NoCensus as error:
        return [str(error)]
    return [sentence for name, sentence in troubles.items() if name in NOT_READY]


class _OfTheOutbox(Collector):
    def __init__(self, taker: CensusTaker) -> None:
        self._taker = taker

    def collect(self) -> Iterator[Metric]:
        """Read when it is asked for."""
        build = {"version": VERSION}
        yield InfoMetricFamily("bridge_build", "The bridge's version.", build)
        census = None
        with suppress(NoCensus):
            census = self._taker.latest()
        yield from census_to_figures(census, time.time())
