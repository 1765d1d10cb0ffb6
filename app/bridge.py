"""Build the parts of a bridge from its settings: the one place that connects them."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from flask import Flask, current_app
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.config.schema import LEAST_DAYS
from app.config.settings import Settings
from app.database.engine import describe, open_database
from app.database.schema import make_ready
from app.direction import Direction
from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.direction import build_drip_to_segment
from app.errors import ConfigError
from app.monitoring.alerts import LOOK_EVERY, Watch
from app.monitoring.deliverers import BEAT_EVERY, Heartbeat
from app.monitoring.watched import Watched
from app.outbox.bulk import Bulk
from app.outbox.clock import Clock, bring_back, make_due
from app.outbox.erasures import Erasures
from app.outbox.loads import Loads
from app.outbox.pruning import DAY, Pruning
from app.outbox.search import Search
from app.outbox.skipped import WRITE_EVERY, write_skipped
from app.periodic import every
from app.segment_to_drip.destination import DripDestination
from app.segment_to_drip.direction import build_segment_to_drip
from app.warehouse.load import Loader
from app.warehouse.process import LoadProcess
from app.warehouse.target import Target

PRUNE_EVERY = 60.0
"""Seconds between two runs of pruning."""

OF_WEBHOOKS = 1
"""The most connections to PostgreSQL for each direction's webhook, in one process. They are apart
from those of the rest, so that pages and downloads cannot take them. Each direction's writer has
its own: it is a greenlet, and one that waited for another's connection would block both."""

OF_THE_REST = 3
"""The most connections to PostgreSQL for all else, of all directions together. With two directions,
a web process and its deliverer have 8 together, so two such pairs fit into Heroku's 20."""


@dataclass(frozen=True)
class Bridge:
    """The parts of one bridge, and the settings that they were built from."""

    settings: Settings
    engine: Engine
    """The engine of everything but webhooks."""
    directions: tuple[Direction, ...]
    """Those that are on: from Drip to Segment, and perhaps from Segment to Drip."""
    watch: Watch
    pruning: Pruning
    clock: Clock
    heartbeat: Heartbeat
    """Of this process, if it sends."""
    warehouse: Loader | None = None
    """Loads kept events into the warehouse, if one is set."""
    loading: LoadProcess = field(default_factory=LoadProcess)
    """Runs its loads, if this process sends."""

    @property
    def drip_to_segment(self) -> Direction:
        """The first direction, which is always on."""
        return self.directions[0]

    @property
    def segment_to_drip(self) -> Direction | None:
        """The second direction; None if it is off."""
        return self.directions[1] if len(self.directions) > 1 else None

    def direction_to(self, destination: str) -> Direction | None:
        """The direction to the destination with this name; None if it is off."""
        return next(
            (each for each in self.directions if each.destination.name == destination), None
        )

    @property
    def search(self) -> Search:
        """A search over the messages of all directions."""
        return Search(self.engine, [direction.searched for direction in self.directions])

    @property
    def bulk(self) -> Bulk:
        """Changes of what a search finds."""
        return Bulk(self.search, {each.destination.name: each.requeue for each in self.directions})

    @property
    def watched(self) -> list[Watched]:
        """What checks, alerts and metrics need of the directions."""
        return [direction.watched for direction in self.directions]

    def start_watch(self) -> None:
        """Start checks and alerts. Every process that stays runs them, because the trouble may be
        that another process is gone."""
        every(LOOK_EVERY, self.watch.look, "watch")
        every(WRITE_EVERY, lambda: write_skipped(self.engine), "skipped")

    def close(self) -> None:
        """Close the connections to the database."""
        for direction in self.directions:
            direction.outbox.close()
        self.engine.dispose()

    def start_delivery(self) -> list[threading.Thread]:
        """Start sending, with a thread for each direction. Beside it run pruning, and the reports
        that this process sends."""
        every(PRUNE_EVERY, lambda: self.tidy(time.time(), time.monotonic()), "pruning")
        every(BEAT_EVERY, self.heartbeat.beat, "heartbeat")
        if self.warehouse and self.settings.warehouse_every:
            every(self.settings.warehouse_every, self.loading.run, "warehouse")
        return [direction.delivery.start() for direction in self.directions]

    def stop_delivery(self) -> None:
        """Let each direction finish its current batch, and end its sending. Safe in a signal
        handler that no other one interrupts."""
        self.loading.stop()
        for direction in self.directions:
            direction.delivery.stop()

    def deliver_due(self) -> Counter[str]:
        """Send all that is due now. Returns how many messages were sent, later, dead or
        released."""
        outcomes: Counter[str] = Counter()
        for direction in self.directions:
            direction.delivery.drain()
            outcomes += direction.delivery.outcomes
        return outcomes

    def tidy(self, now: float, steady: float) -> None:
        """Make due what a wrong clock put off, and prune if the time is believed. `now` is in
        seconds since the epoch, `steady` is the time by a monotonic clock."""
        make_due(self.engine, [each.destination.name for each in self.directions], now)
        if self.clock.is_believed(now, steady):
            bring_back(self.engine, now)
            for direction in self.directions:
                direction.tidy(now)
            self.pruning.run(now)


def build_bridge(settings: Settings) -> Bridge:
    """Build the parts. Nothing is connected and no thread started, so the process may still
    fork."""
    engine = open_database(settings.database_url, OF_THE_REST)
    is_both = settings.is_segment_to_drip_on
    of_webhooks = _for_webhooks(settings.database_url, engine, directions=1 + is_both)
    warehouse = _build_loader(settings, engine)
    loads = warehouse.loads if warehouse else None
    first = build_drip_to_segment(settings, engine, of_webhooks, loads)
    second = build_segment_to_drip(settings, engine, of_webhooks, loads)
    directions = (first, second) if second else (first,)
    hours = settings.alert_silence_hours
    return Bridge(
        settings=settings,
        engine=engine,
        directions=directions,
        watch=Watch(
            engine,
            [direction.watched for direction in directions],
            silence=hours * 3600 if hours else None,
            url=settings.alert_webhook_url,
            public_url=settings.public_url,
        ),
        pruning=Pruning(
            engine,
            settings.sent_retention_days,
            settings.failed_retention_days,
            LEAST_DAYS,
            loads,
        ),
        clock=Clock(engine),
        heartbeat=Heartbeat(
            engine, lambda: all(each.delivery.is_going_on() for each in directions)
        ),
        warehouse=warehouse,
    )


def _build_loader(settings: Settings, engine: Engine) -> Loader | None:
    if settings.warehouse_url is None:
        return None
    to_drip = (DripDestination.name,) if settings.warehouse_destination else ()
    target = Target(
        settings.warehouse_url, settings.warehouse_schema, (SegmentDestination.name, *to_drip)
    )
    return Loader(
        engine,
        target,
        Loads(
            engine,
            target.fingerprint,
            target.destinations,
            max(settings.sent_retention_days, LEAST_DAYS) * DAY,
            settings.warehouse_every,
        ),
        Erasures(engine, target.fingerprint),
    )


def _for_webhooks(url: URL, of_the_rest: Engine, directions: int) -> Engine:
    """The engine for webhooks. With SQLite it is that of the rest: its pool has no limit, and
    after the file was read-only all connections of a process have to be closed together, or each
    new one is read-only too."""
    if of_the_rest.dialect.name == "sqlite":
        return of_the_rest
    return open_database(url, OF_WEBHOOKS * directions)


def bridge_of(app: Flask = current_app) -> Bridge:
    """The bridge that `create_app` built for this app."""
    bridge: Bridge = app.extensions["bridge"]
    return bridge


def check_database(settings: Settings, may_upgrade: bool = True) -> None:
    """Raises `ConfigError` if the bridge cannot work with the database. Leaves no connection open.

    A PostgreSQL that is out of reach raises nothing: it may be back in a minute. Until then each
    webhook is answered so that it is sent again: Drip's with 429, Segment's with 503
    (docs/development/facts.md §§ 1, 6).
    """
    engine = open_database(settings.database_url)
    try:
        make_ready(engine, may_upgrade)
    except SQLAlchemyError as error:
        if engine.dialect.name == "sqlite":
            raise ConfigError(f"DATABASE_URL: cannot use the file. {describe(error)}") from None
    finally:
        engine.dispose()
