"""The state of the bridge at a glance: what is wrong, counts and the chart."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.bridge import Bridge
from app.direction import Direction
from app.inspector.chart import Chart, Per, starts_at, traffic_to_chart
from app.inspector.looks import LOOKS
from app.monitoring.stats import Quota, Stats
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import check_all
from app.outbox.traffic import read_traffic


@dataclass(frozen=True)
class Totals:
    """The stats of the directions that are shown, together. Times are None if there is none."""

    states: Counter[str]
    oldest_pending: float | None
    last_webhook: float | None
    last_sent: float | None
    quotas: tuple[Quota, ...]


@dataclass(frozen=True)
class Overview:
    """The state of the bridge. `stats` is None if the events could not be counted."""

    stats: Totals | None
    problems: tuple[str, ...]
    """Sentences that say what to do, or none if all is well."""
    chart: Chart


def read_overview(bridge: Bridge, shown: Sequence[Direction], per: Per, now: float) -> Overview:
    """Read the problems of all directions, and the figures of those that are shown. Raises
    `SQLAlchemyError` if the database is unavailable."""
    chart = _read_chart(bridge, shown, per, now)
    hours = bridge.settings.alert_silence_hours
    try:
        totals = _add_up([direction.stats.latest() for direction in shown])
        failed = check_all(bridge.watched, now, hours * 3600 if hours else None)
    except StatsUnavailable as error:
        return Overview(None, (str(error),), chart)
    return Overview(totals, tuple(failed.sentences.values()), chart)


def _read_chart(bridge: Bridge, shown: Sequence[Direction], per: Per, now: float) -> Chart:
    names = [direction.destination.name for direction in shown]
    since = starts_at(per, now)
    minutes = [minute for name in names for minute in read_traffic(bridge.engine, name, since)]
    kinds = {name: kind for each in names for name, kind in LOOKS[each].kinds.items()}
    return traffic_to_chart(minutes, kinds, per, now)


def _add_up(stats: Sequence[Stats]) -> Totals:
    return Totals(
        states=sum((Counter(each.states) for each in stats), Counter[str]()),
        oldest_pending=min(_known(each.oldest_pending for each in stats), default=None),
        last_webhook=max(_known(each.last_webhook for each in stats), default=None),
        last_sent=max(_known(each.last_sent for each in stats), default=None),
        quotas=tuple(quota for each in stats for quota in each.quotas),
    )


def _known(times: Iterable[float | None]) -> list[float]:
    return [at for at in times if at is not None]
