"""Build the parts of a bridge from its settings: the one place that connects them."""

import threading
import time
from dataclasses import dataclass

from flask import Flask, current_app
from sqlalchemy import Engine
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from app.config.schema import LEAST_DAYS
from app.config.settings import Settings
from app.database.engine import describe, open_database
from app.database.schema import check_schema, make_ready
from app.delivery.worker import DeliveryWorker
from app.drip_to_segment.destination import SegmentDestination
from app.drip_to_segment.translate import translate
from app.errors import ConfigError
from app.monitoring import metrics
from app.monitoring.alert_store import AlertStore
from app.monitoring.alerts import LOOK_EVERY, Watch
from app.monitoring.stats import Stats, take_stats
from app.monitoring.stats_cache import StatsCache
from app.outbox.clock import Clock, bring_back, make_due
from app.outbox.group_commit import GroupCommit
from app.outbox.pruning import Pruning
from app.outbox.quarantine import Quarantine
from app.outbox.requeue import Requeue
from app.outbox.store import Store
from app.periodic import every

PRUNE_EVERY = 60.0
"""Seconds between two runs of pruning."""

OF_WEBHOOKS = 1
OF_THE_REST = 3
"""The most connections to PostgreSQL of one process. The webhook has its own, so that pages and
downloads cannot take it. A web process and its deliverer have 7 together, so two such pairs fit
into Heroku's 20."""


@dataclass(frozen=True)
class Bridge:
    """The parts of one bridge, and the settings that they were built from."""

    settings: Settings
    segment: SegmentDestination
    store: Store
    outbox: GroupCommit
    delivery: DeliveryWorker
    stats: StatsCache
    watch: Watch
    pruning: Pruning
    clock: Clock
    requeue: Requeue

    def start_watch(self) -> None:
        """Start checks and alerts. Every process that stays runs them, because the trouble may be
        that another process is gone."""
        every(LOOK_EVERY, self.watch.look, "watch")

    def close(self) -> None:
        """Close the connections to the database."""
        self.outbox.close()
        self.store.engine.dispose()

    def start_delivery(self) -> threading.Thread:
        """Start sending, and pruning beside it. `delivery.stop` ends the sending."""
        every(PRUNE_EVERY, lambda: self.tidy(time.time(), time.monotonic()), "pruning")
        return self.delivery.start()

    def tidy(self, now: float, steady: float) -> None:
        """Make due what a wrong clock put off, and prune if the time is believed. `now` is in
        seconds since the epoch, `steady` is the time by a monotonic clock."""
        make_due(self.store.engine, [self.segment.name], now)
        if self.clock.is_believed(now, steady):
            bring_back(self.store.engine, now)
            self.pruning.run(now)


def build_bridge(settings: Settings) -> Bridge:
    """Build the parts. Nothing is connected and no thread started, so the process may still
    fork."""
    metrics.start_at_zero(SegmentDestination.name)
    segment = SegmentDestination(settings.segment_host, settings.write_key, settings.write_keys)
    store = Store(open_database(settings.database_url, OF_THE_REST), segment.name)
    outbox = GroupCommit(Store(_for_webhooks(settings.database_url, store.engine), segment.name))
    stats = StatsCache(lambda: _count(store.engine, segment, outbox.quarantine))
    hours = settings.alert_silence_hours
    return Bridge(
        settings=settings,
        segment=segment,
        store=store,
        outbox=outbox,
        delivery=DeliveryWorker(store, segment),
        stats=stats,
        watch=Watch(
            AlertStore(store.engine),
            stats.latest,
            silence=hours * 3600 if hours else None,
            url=settings.alert_webhook_url,
            is_kept=outbox.is_kept,
            labels=segment.labels,
        ),
        pruning=Pruning(
            store.engine,
            settings.sent_retention_days,
            settings.failed_retention_days,
            LEAST_DAYS,
        ),
        clock=Clock(store.engine),
        requeue=Requeue(store.engine, segment.name, translate),
    )


def _for_webhooks(url: URL, of_the_rest: Engine) -> Engine:
    """The engine for the webhook. With SQLite it is that of the rest: its pool has no limit, and
    after the file was read-only all connections of a process have to be closed together, or each
    new one is read-only too."""
    if of_the_rest.dialect.name == "sqlite":
        return of_the_rest
    return open_database(url, OF_WEBHOOKS)


def _count(engine: Engine, segment: SegmentDestination, quarantine: Quarantine) -> Stats:
    check_schema(engine)
    stats = take_stats(engine, segment.name, time.time(), segment.key_for)
    quarantine.note(stats.quarantine_bytes)
    return stats


def bridge_of(app: Flask = current_app) -> Bridge:
    """The bridge that `create_app` built for this app."""
    bridge: Bridge = app.extensions["bridge"]
    return bridge


def check_database(settings: Settings, may_upgrade: bool = True) -> None:
    """Raises `ConfigError` if the bridge cannot work with the database. Leaves no connection open.

    A PostgreSQL that is out of reach raises nothing: it may be back in a minute. Until then each
    webhook is answered with 429, after which Drip sends it again (docs/facts.md § 1).
    """
    engine = open_database(settings.database_url)
    try:
        make_ready(engine, may_upgrade)
    except SQLAlchemyError as error:
        if engine.dialect.name == "sqlite":
            raise ConfigError(f"DATABASE_URL: cannot use the file. {describe(error)}") from None
    finally:
        engine.dispose()
