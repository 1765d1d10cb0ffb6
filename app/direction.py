"""One direction of the bridge: where its messages go, and the parts that keep and send them."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Engine

from app.database.schema import check_schema
from app.delivery.worker import DeliveryWorker
from app.destination import Destination
from app.monitoring import metrics
from app.monitoring.stats import Quota, Stats, take_stats
from app.monitoring.stats_cache import StatsCache
from app.monitoring.watched import Watched
from app.outbox.group_commit import GroupCommit
from app.outbox.loads import Loads
from app.outbox.requeue import Requeue
from app.outbox.retranslation import Translate
from app.outbox.search import Description, Searched
from app.outbox.store import Store


@dataclass(frozen=True)
class Direction:
    """The parts of one direction."""

    name: str
    """From where to where, such as "drip_to_segment"."""
    destination: Destination
    store: Store
    outbox: GroupCommit
    """Keeps what its webhook receives."""
    delivery: DeliveryWorker
    stats: StatsCache
    requeue: Requeue
    translate: Translate
    """Makes a message of a body."""
    describe: Callable[[Any], Description]
    """What a payload says of itself, for lists."""
    collections: tuple[str, ...]
    """The collections that its messages may have."""
    may_expire: bool
    """Whether its messages have the states "unidentified" and "expired"."""
    tidy: Callable[[float], object]
    """Called now and then, with the time in seconds since the epoch."""
    built_at: float
    """When it was built, in seconds since the epoch."""

    @property
    def searched(self) -> Searched:
        """What a search needs of it."""
        return Searched(self.destination.name, self.destination.key_for, self.describe)

    @property
    def watched(self) -> Watched:
        """What checks, alerts and metrics need of it."""
        return Watched(self.destination, self.stats.latest, self.outbox.is_kept, self.built_at)

    @property
    def watched_recently(self) -> Watched:
        """The same for pages, which do not wait for the latest figures."""
        return replace(self.watched, latest=self.stats.recent)


def build_direction(
    name: str,
    destination: Destination,
    delivery: DeliveryWorker,
    store: Store,
    of_webhooks: Engine,
    translate: Translate,
    describe: Callable[[Any], Description],
    collections: Iterable[str],
    may_expire: bool = False,
    tidy: Callable[[float], object] = lambda _: None,
    quotas: Callable[[], Iterable[Quota]] = tuple,
    ends: Callable[[Stats], Mapping[str, float]] = lambda _: {},
    loads: Loads | None = None,
    retry_delay: float = 0.0,
) -> Direction:
    """Build the parts. `store` is over the engine of everything but webhooks, `delivery` sends from
    it. All directions of a process share the two engines, so one more opens no more connections.
    `retry_delay` is how many seconds the destination may still be at work on what failed."""
    metrics.start_at_zero(destination.name)
    outbox = GroupCommit(Store(of_webhooks, destination.name))

    def count() -> Stats:
        stats = _count(store.engine, destination, outbox, may_expire)
        load = loads.read(destination.name) if loads else None
        return replace(stats, quotas=tuple(quotas()), ends=ends(stats), load=load)

    return Direction(
        name=name,
        destination=destination,
        store=store,
        outbox=outbox,
        delivery=delivery,
        stats=StatsCache(count),
        requeue=Requeue(store.engine, destination.name, translate, retry_delay),
        translate=translate,
        describe=describe,
        collections=tuple(dict.fromkeys(collections)),
        may_expire=may_expire,
        tidy=tidy,
        built_at=time.time(),
    )


def _count(
    engine: Engine, destination: Destination, outbox: GroupCommit, may_expire: bool
) -> Stats:
    check_schema(engine)
    stats = take_stats(engine, destination.name, time.time(), destination.key_for)
    outbox.quarantine.note(stats.quarantine_bytes)
    # a state that messages may have is counted also if none has it
    return (
        replace(stats, states={"unidentified": 0, "expired": 0, **stats.states})
        if may_expire
        else stats
    )
