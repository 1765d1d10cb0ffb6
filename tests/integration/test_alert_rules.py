"""Alert rules and dashboard ask for what is served."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy.engine import make_url

from app.config.settings import Settings
from tests.support.bridge_process import ROOT
from tests.support.flask_app import post

SAMPLES = sorted((ROOT / "samples").glob("*.json"))


NAME = re.compile(r"\b(bridge_[a-z_]+)(?:\{([^}]*)\})?")


LABEL = re.compile(r'([a-z_]+)\s*(=~|!=|=)\s*"([^"]*)"')


GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


RULES = ROOT / "docs" / "operating" / "alert-rules.yml"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """With all that has figures."""
    return replace(settings, warehouse_url=make_url("duckdb:///warehouse.duckdb"))


def rules() -> list[Any]:
    found = yaml.safe_load(RULES.read_text())
    return [rule for group in found["groups"] for rule in group["rules"]]


def dashboard() -> Any:
    return json.loads((ROOT / "docs" / "operating" / "grafana.json").read_text())


def targets() -> list[Any]:
    return [target for panel in dashboard()["panels"] for target in panel["targets"]]


def served_by(client: FlaskClient) -> dict[str, dict[str, set[str]]]:
    """Name of each figure → its labels → their values."""
    served: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            of_name = served.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                of_name.setdefault(label, set()).add(value)
            if "destination" in of_name:
                of_name["destination"] |= {"drip"}  # if that direction is on
    return served


@pytest.mark.parametrize(
    "expression", [one["expr"] for one in (*rules(), *targets()) if "bridge_" in one["expr"]]
)
def test_rules_and_panels_ask_for_what_is_served(client: FlaskClient, expression: str) -> None:
    for path in SAMPLES:
        post(client, path.read_bytes())
    served = served_by(client)
    asked = NAME.findall(expression)
    for name, selector in asked:
        assert name in served
        for label, operator, value in LABEL.findall(selector):
            assert label in served[name]
            values = value.split("|") if operator == "=~" else [value]
            assert operator == "!=" or served[name][label].issuperset(values)
    for grouping in GROUPING.findall(expression):
        known = set.union(*(set(served[name]) for name, _ in asked))
        assert {label.strip() for label in grouping.split(",")} <= known
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_each_rule_has_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 12
    for rule in rules():
        assert rule.keys() - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "action"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "1m"))


def test_the_dashboard_can_be_imported() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 36
    (variable,) = board["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for part in (*panels, *targets()):
        assert part["datasource"]["uid"] == f"${{{variable['name']}}}"
    for target in targets():
        used = re.findall(r"{{(\w+)}}", target["legendFormat"])
        assert set(used) <= set(re.findall(r"by \((\w+)\)", target["expr"]))


# by Prometheus' own tool


@pytest.fixture
def promtool() -> str:
    """It comes with Prometheus. Tests that need it are skipped if there is none, unless
    PROMTOOL_TESTS=required."""
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("PROMTOOL_TESTS") == "required":
            pytest.fail("no promtool on the PATH, and PROMTOOL_TESTS=required")
        pytest.skip("no promtool on the PATH")
    return found


def run(promtool: str, *arguments: str, stdin: str = "") -> str:
    """What it prints, if it finds nothing wrong."""
    done = subprocess.run(
        [promtool, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_prometheus_reads_the_rules(promtool: str) -> None:
    assert f"SUCCESS: {len(rules())} rules found" in run(promtool, "check", "rules", str(RULES))


def test_prometheus_finds_no_fault_in_the_figures(promtool: str, client: FlaskClient) -> None:
    for path in SAMPLES:
        post(client, path.read_bytes())
    assert run(promtool, "check", "metrics", stdin=client.get("/metrics").text) == ""


AGE = 'bridge_oldest_waiting_age_seconds{destination="segment",cause="%s"}'


@pytest.mark.parametrize(
    ("series", "firing"),
    [
        ({AGE % "held": 90_000, AGE % "retrying": 0}, []),
        ({'bridge_waiting_events{cause="held"}': 1}, ["BridgeEventsHeld"]),
        ({AGE % "limited": 9_000}, []),
        ({AGE % "retrying": 301}, ["BridgeNotDelivering"]),
        ({AGE % "paused": 301}, ["BridgeNotDelivering"]),
        ({AGE % "queued": 301}, ["BridgeNotDelivering"]),
        ({AGE.replace("segment", "drip") % "queued": 10_800}, []),
        ({AGE.replace("segment", "drip") % "queued": 10_801}, ["BridgeNotDeliveringToDrip"]),
        ({'bridge_paused_accounts{destination="segment"}': 1}, ["BridgeKeyRefused"]),
        ({"bridge_deliverers": 0}, ["BridgeNoDeliverer"]),
        ({"bridge_deliverers": 1}, []),
        # also those of long ago
        ({'bridge_events{destination="segment",state="dead"}': 11}, ["BridgeEventsFailed"]),
        ({'bridge_events{state="quarantined"}': 23}, ["BridgeWebhooksRejected"]),
        ({'bridge_events{state="dismissed"}': 34}, []),
    ],
)
def test_a_rule_fires_for_its_cause_alone(
    promtool: str, tmp_path: Path, series: dict[str, float], firing: list[str]
) -> None:
    """The figures are as given for three hours."""
    case = {
        "interval": "1m",
        "input_series": [
            {"series": name, "values": f"{value}x180"} for name, value in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": "180m",
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "tests": [case]}))
    run(promtool, "test", "rules", str(file))
