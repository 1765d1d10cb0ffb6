"""`status`: what is wrong with the bridge, and what goes through it, in about ten lines."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import SQLAlchemyError

from app.bridge import Bridge, bridge_of, check_database
from app.cli.status_text import FlowStatus, flow_to_lines, problem_to_lines, rest_to_lines
from app.cli.status_values import to_values
from app.database.engine import describe
from app.errors import ConfigError
from app.monitoring.problem import Problem, unreadable
from app.monitoring.stats import LATELY
from app.monitoring.stats_cache import StatsUnavailable
from app.monitoring.watched import find_all
from app.outbox.traffic import read_traffic

EXIT_CODES = {"critical": 2, "warning": 1, "notice": 0}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object, for scripts.")
@with_appcontext
def status(as_json: bool) -> None:
    """Show whether the bridge is well, what waits and why, and what went in the last hour.

    Ends with 0 if nothing is wrong, with 1 if an operator should act, and with 2 if events do not
    flow or the database cannot be read.
    """
    bridge, now = bridge_of(), time.time()
    flows: Sequence[FlowStatus] = ()
    try:
        check_database(bridge.settings, may_upgrade=False)
        problems = _find_problems(bridge, now)
        flows = _read_flows(bridge, now)
    except (ConfigError, StatsUnavailable) as error:
        problems = [unreadable(str(error))]
    except SQLAlchemyError as error:
        problems = [unreadable(f"DATABASE_URL: {describe(error)}")]
    if as_json:
        click.echo(json.dumps(to_values(problems, flows, bridge.engine.dialect.name, now)))
    else:
        click.echo("\n".join(_to_lines(bridge, problems, flows, now)))
    raise SystemExit(max((EXIT_CODES[each.level] for each in problems), default=0))


def _find_problems(bridge: Bridge, now: float) -> list[Problem]:
    hours = bridge.settings.alert_silence_hours
    # a web process gives its deliverer time to start; this process has none
    watched = [replace(each, started_at=0.0) for each in bridge.watched]
    return find_all(watched, now, hours * 3600 if hours else None).problems


def _read_flows(bridge: Bridge, now: float) -> list[FlowStatus]:
    return [
        FlowStatus(
            direction.destination.labels.source,
            direction.destination.labels.destination,
            read_traffic(bridge.engine, direction.destination.name, now - LATELY),
            direction.stats.latest(),
        )
        for direction in bridge.directions
    ]


def _to_lines(
    bridge: Bridge, problems: Sequence[Problem], flows: Sequence[FlowStatus], now: float
) -> list[str]:
    lines = [line for problem in problems for line in problem_to_lines(problem)]
    if not problems:
        lines = ["✓ No problem found"]
    for flow in flows:
        lines += ["", *flow_to_lines(flow, now)]
    if flows:
        lines += rest_to_lines(flows, bridge.engine.dialect.name, now)
    return lines
