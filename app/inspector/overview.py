"""How the bridge is, at a glance; and `/live`, what of a page changes by itself."""

import time
from dataclasses import dataclass

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app.bridge import Bridge
from app.inspector.chart import Chart, Per, starts_at, traffic_to_chart
from app.inspector.view import first_run, read_view
from app.outbox.census import Census
from app.outbox.census_taker import NoCensus
from app.outbox.traffic import read_traffic
from app.trouble import census_to_troubles


@dataclass(frozen=True)
class Overview:
    """The figures of a moment; `census` is None where nothing could be counted."""

    census: Census | None
    troubles: tuple[str, ...]
    """Sentences that say what to do; none where all is well."""
    chart: Chart


def register(blueprint: Blueprint, bridge: Bridge) -> None:
    """`/live`."""

    @blueprint.get("/live")
    def live() -> ResponseReturnValue:
        if first_run(bridge):
            return "", 204
        now = time.time()
        view = read_view(bridge, request.args, now)
        return render_template("live.html", overview=look(bridge, view.per, now), view=view)


def look(bridge: Bridge, per: Per, now: float) -> Overview:
    """`now` in seconds since the epoch. Raises `SQLAlchemyError` where the database is away."""
    chart = traffic_to_chart(read_traffic(bridge.store.engine, starts_at(per, now)), per, now)
    try:
        census = bridge.census.latest()
    except NoCensus as error:
        return Overview(None, (str(error),), chart)
    hours = bridge.settings.alert_silence_hours
    troubles = census_to_troubles(census, now, hours * 3600 if hours else None)
    return Overview(census, tuple(troubles.values()), chart)
