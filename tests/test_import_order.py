"""Imports run one way; setup.cfg says which, and import-linter holds it."""

from copy import deepcopy
from typing import Any

import pytest
from grimp import ImportGraph, build_graph
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

from tests.bridge_process import ROOT

CONFIG = str(ROOT / "setup.cfg")

KINDS: dict[str, type[Contract]] = {
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}


@pytest.fixture(scope="module")
def graph() -> ImportGraph:
    return build_graph("app", include_external_packages=True, cache_dir=None)


def broken_contracts(graph: ImportGraph) -> list[str]:
    config: dict[str, Any] = read_configuration(CONFIG)
    broken = []
    for options in config["contracts_options"]:
        kind = KINDS[options["type"]]
        contract = kind(options["name"], config["session_options"], options)
        if not contract.check(deepcopy(graph), verbose=False).kept:
            broken.append(options["name"])
    return broken


def test_no_import_of_today_breaks_a_contract(graph: ImportGraph) -> None:
    assert broken_contracts(graph) == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        # what joins the parts is joined by nobody
        ("app.errors", "app.settings"),
        ("app.backoff", "app.settings"),
        ("app.settings", "app.outbox.engine"),
        ("app.settings", "app.source.segment"),
        ("app.outbox.store", "app.delivery"),
        ("app.source.schema", "app.delivery"),
        ("app.delivery", "app.bridge"),
        ("app.delivery", "app.cli.deliver"),
        ("app.bridge", "app.cli.deliver"),
        ("app.outbox.store", "app"),
        # the translation, the outbox and the wire know nothing of one another
        ("app.source.track", "app.outbox.store"),
        ("app.source.track", "app.source.segment"),
        ("app.source.segment", "app.source.track"),
        ("app.source.segment", "app.outbox.store"),
        ("app.outbox.store", "app.source.track"),
        ("app.outbox.store", "app.source.segment"),
        # the translation is pure
        ("app.source.schema", "sqlalchemy"),
        ("app.source.collections", "requests"),
        ("app.source.track", "flask"),
        # one file talks to the destination, and the loop knows no vendor
        ("app.source.webhook", "segment"),
        ("app.delivery", "requests"),
        ("app.outbox.store", "segment"),
    ],
)
def test_an_import_against_the_order_breaks_a_contract(
    graph: ImportGraph, importer: str, imported: str
) -> None:
    changed = deepcopy(graph)
    changed.add_import(importer=importer, imported=imported)

    assert broken_contracts(changed)
