"""Imports run one way; setup.cfg says which, and import-linter holds it."""

import re
from copy import deepcopy
from typing import Any

import pytest
from grimp import ImportGraph, build_graph
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

from tests.support.bridge_process import ROOT

CONFIG = str(ROOT / "setup.cfg")

IMPORT_OF_A_TEST = re.compile(r"^(?:from|import) tests\.(?:\w+\.)*test_", re.MULTILINE)

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
        ("app.errors", "app.config.settings"),
        ("app.delivery.retry", "app.config.settings"),
        ("app.config.settings", "app.database.engine"),
        ("app.config.settings", "app.drip_to_segment.destination"),
        ("app.outbox.store", "app.delivery.worker"),
        ("app.drip_to_segment.schema", "app.delivery.worker"),
        ("app.delivery.worker", "app.bridge"),
        ("app.delivery.worker", "app.cli.deliver"),
        ("app.bridge", "app.cli.deliver"),
        ("app.direction", "app.drip_to_segment.destination"),
        ("app.outbox.store", "app"),
        # the translation, the outbox and the wire know nothing of one another
        ("app.drip_to_segment.track", "app.outbox.store"),
        ("app.drip_to_segment.track", "app.drip_to_segment.destination"),
        ("app.drip_to_segment.destination", "app.drip_to_segment.track"),
        ("app.drip_to_segment.destination", "app.outbox.store"),
        ("app.outbox.store", "app.drip_to_segment.track"),
        ("app.outbox.store", "app.drip_to_segment.destination"),
        # the translation is pure
        ("app.drip_to_segment.schema", "sqlalchemy"),
        ("app.drip_to_segment.mapping", "requests"),
        ("app.drip_to_segment.track", "flask"),
        # one file talks to the destination, and the loop knows no vendor
        ("app.drip_to_segment.webhook", "segment"),
        ("app.delivery.worker", "requests"),
        ("app.outbox.store", "segment"),
    ],
)
def test_an_import_against_the_order_breaks_a_contract(
    graph: ImportGraph, importer: str, imported: str
) -> None:
    changed = deepcopy(graph)
    changed.add_import(importer=importer, imported=imported)

    assert broken_contracts(changed)


def test_no_test_imports_from_another_test() -> None:
    files = (ROOT / "tests").rglob("test_*.py")
    found = [file.name for file in files if re.search(IMPORT_OF_A_TEST, file.read_text())]
    assert found == []
