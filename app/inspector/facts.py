"""The facts that are behind the overview: what was looked at, and what was seen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.bridge import Bridge
from app.direction import Direction
from app.formatting import (
    DAY,
    minute_time,
    pluralize,
    relative_time,
    size_of,
    thousands,
)
from app.monitoring.stats import LATELY, Stats
from app.monitoring.warehouse import furthest_behind, of_load, state_of
from app.outbox.answers import WORKS, LastAnswer
from app.outbox.reasons import short
from app.version import VERSION


@dataclass(frozen=True)
class Fact:
    """One thing that was looked at."""

    name: str
    words: str
    """What was seen."""
    is_good: bool | None
    """None if it is neither good nor bad."""


def read_facts(
    bridge: Bridge, shown: Sequence[Direction], stats: Sequence[Stats], now: float
) -> list[Fact]:
    """The facts about the directions that are shown, whose stats these are; none if the events
    could not be counted."""
    if not stats:
        return []
    return [*_of_directions(shown, stats, now), *_of_bridge(bridge, stats, now)]


def _of_directions(
    shown: Sequence[Direction], stats: Sequence[Stats], now: float
) -> Iterator[Fact]:
    for direction, each in zip(shown, stats, strict=True):
        labels = direction.destination.labels
        last = each.last_webhook
        webhook = "none yet" if last is None else f"last {relative_time(last, now)}"
        is_recent = last is not None and now - last < DAY
        yield Fact(f"Webhooks from {labels.source}", webhook, True if is_recent else None)
        yield _of_answers(labels.destination, list(each.answers.values()), now)


def _of_answers(name: str, answers: Sequence[LastAnswer], now: float) -> Fact:
    """What the destination answered last; to a key with which something is wrong, if there is one.
    Keys that have not been used for an hour do not count."""
    if not answers:
        return Fact(name, "nothing sent yet", None)
    recent = [each for each in answers if now - each.answered_at < LATELY]
    wrong = [each for each in recent if each.kind not in WORKS]
    latest = max(wrong or answers, key=lambda each: each.answered_at)
    if latest.kind in WORKS:
        did = "took events" if latest.kind == "taken" else f"answered {short(latest.reason)}"
        return Fact(name, f"{did} {relative_time(latest.answered_at, now)}", True)
    since = minute_time(latest.failing_since or latest.answered_at, now)
    failed = pluralize(latest.failures, "failed request")
    return Fact(name, f"{short(latest.reason)} since {since}, {failed}", False)


def _of_bridge(bridge: Bridge, stats: Sequence[Stats], now: float) -> Iterator[Fact]:
    running = [each for each in stats[0].deliverers if each.is_running(now)]
    if running:
        seen = relative_time(max(each.seen_at for each in running), now)
        words = f"{thousands(len(running))} running, seen {seen}"
    else:
        words = "none has reported lately"
    yield Fact("Deliverers", words, bool(running))
    kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[bridge.engine.dialect.name]
    yield Fact("Database", f"{kind}, {size_of(stats[0].database_bytes)}", True)
    yield from _of_warehouse(stats, now)
    waits = sum(account.count for each in stats for account in each.waiting)
    yield Fact("Safe to restart", _on_disk(waits), True)
    yield Fact("Version", VERSION, None)


def _of_warehouse(stats: Sequence[Stats], now: float) -> Iterator[Fact]:
    """How far the loads are; of several directions, the one that is furthest behind."""
    load = furthest_behind([each.load for each in stats], now)
    if load is not None:
        is_well = None if load.loaded_at is None else not [*of_load(load, now)]
        yield Fact("Warehouse", state_of(load, now), is_well if load.error is None else False)


def _on_disk(waits: int) -> str:
    if waits > 1:
        return f"all {thousands(waits)} waiting events are on disk"
    return "1 waiting event is on disk" if waits else "nothing waits"
