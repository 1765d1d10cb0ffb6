"""Turn the bridge's status into values that JSON can hold. Pure."""

from collections.abc import Sequence
from typing import Any, get_args

from app.cli.status_text import FlowStatus
from app.formatting import iso_time
from app.monitoring.problem import Problem
from app.monitoring.stats import Cause
from app.outbox.loads import Load
from app.outbox.traffic import WAYS
from app.version import VERSION


def to_values(
    problems: Sequence[Problem], flows: Sequence[FlowStatus], dialect: str, now: float
) -> dict[str, Any]:
    """Return the status. Without flows, the database could not be read."""
    values: dict[str, Any] = {
        "version": VERSION,
        "problems": [_problem(each) for each in problems],
        "directions": [_flow(each) for each in flows],
    }
    if flows:
        stats = flows[0].stats
        values["deliverers"] = {
            "running": sum(each.is_running(now) for each in stats.deliverers),
            "last_seen": _time(max((each.seen_at for each in stats.deliverers), default=None)),
        }
        values["database"] = {"kind": dialect, "bytes": stats.database_bytes}
    return values


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "name": problem.name,
        "level": problem.level,
        "title": problem.title,
        "facts": problem.facts,
        "action": problem.action,
        "count": problem.count,
        "since": _time(problem.since),
        "accounts": problem.accounts,
    }


def _flow(flow: FlowStatus) -> dict[str, Any]:
    stats = flow.stats
    return {
        "source": flow.source,
        "destination": flow.destination,
        "last_hour": {way: flow.count(way) for way in WAYS},
        "waiting": {
            cause: {"count": stats.count(cause), "oldest": _time(stats.oldest(cause))}
            for cause in get_args(Cause)
        },
        "ends": {account: _time(at) for account, at in stats.ends.items()},
        "states": dict(stats.states),
        "last_webhook": _time(stats.last_webhook),
        "last_delivered": _time(stats.last_sent),
        "warehouse": stats.load and _load(stats.load),
    }


def _load(load: Load) -> dict[str, Any]:
    return {
        "loaded": load.count,
        "last_load": _time(load.loaded_at),
        "oldest_waiting": _time(load.oldest),
        "error": load.error,
    }


def _time(at: float | None) -> str | None:
    return None if at is None else iso_time(at)
