"""Alert rules and dashboard ask for what is served."""

import json
import re
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.bridge_process import ROOT
from tests.support.flask_app import post

SAMPLES = sorted((ROOT / "samples").glob("*.json"))


NAME = re.compile(r"\b(bridge_[a-z_]+)(?:\{([^}]*)\})?")


LABEL = re.compile(r'([a-z_]+)\s*(=~|!=|=)\s*"([^"]*)"')


GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def rules() -> list[Any]:
    found = yaml.safe_load((ROOT / "docs" / "operating" / "alert-rules.yml").read_text())
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
            assert operator == "!=" or value in served[name][label]
    for grouping in GROUPING.findall(expression):
        known = set.union(*(set(served[name]) for name, _ in asked))
        assert {label.strip() for label in grouping.split(",")} <= known
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


def test_each_rule_has_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules()) >= 9
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
