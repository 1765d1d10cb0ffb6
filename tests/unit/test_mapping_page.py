"""Every example of docs/mapping-file.md is right."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from app.cli.mapping import fields
from app.mapping_kit.directives import DIRECTIVES, compile_fields
from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.triggers import compile_trigger
from app.segment_to_drip.mapping.mappings import compile_mappings
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.sending.trial import try_event
from tests.support.bridge_process import ROOT

RECEIVED_AT = 1_790_845_200

PAGE = (ROOT / "docs" / "mapping-file.md").read_text(encoding="utf-8")


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of a table's rows, by the beginning of its head."""
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        yield [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize(("trigger", "fitting", "other"), [*rows("trigger")])
def test_an_event_fits_a_trigger_as_the_page_says(trigger: str, fitting: str, other: str) -> None:
    matches = compile_trigger(trigger)
    assert matches(json.loads(fitting))
    assert not matches(json.loads(other))


@pytest.mark.parametrize(("trigger", "instead"), [*rows("refused")])
def test_a_trigger_that_the_page_calls_refused_is(trigger: str, instead: str) -> None:
    assert instead
    with pytest.raises(InvalidMapping):
        compile_trigger(trigger)


def event_of_the_page() -> dict[str, Any]:
    (text,) = re.findall(r"```json\n(\{\n  \"type\".*?)```", PAGE, re.DOTALL)
    event: dict[str, Any] = json.loads(text)
    return event


@pytest.mark.parametrize(("name", "what", "example", "gives"), [*rows("directive")])
def test_a_directive_gives_what_the_page_says(
    name: str, what: str, example: str, gives: str
) -> None:
    assert what
    value = json.loads(example)
    assert [*value] == [name]
    assert compile_fields({"field": value})(event_of_the_page()) == {"field": json.loads(gives)}


def test_the_page_has_an_example_of_each_directive() -> None:
    assert {row[0] for row in rows("directive")} == set(DIRECTIVES)


def recipes() -> Iterator[list[tuple[str, str]]]:
    """Mapping, call, request and its item, of each recipe."""
    for recipe in PAGE.partition("## Recipes")[2].partition("\n## ")[0].split("\n### ")[1:]:
        yield re.findall(
            r"```json\n(.*?)\n```|^`([A-Z]+ [^`\n]*)`$", recipe, re.DOTALL | re.MULTILINE
        )


@pytest.mark.parametrize("recipe", [*recipes()])
def test_a_recipe_does_what_the_page_says(recipe: list[tuple[str, str]]) -> None:
    (mapping, _), (call, _), (_, line), (item, _) = recipe
    mappings = compile_mappings("recipe", {"mappings": [json.loads(mapping)]})
    options = DripOptions(mappings=mappings)
    request = try_event(call.encode(), RECEIVED_AT, "99", options).requests[-1]
    assert f"{request.method} {request.path}" == line
    body: Any = request.body
    listed = next(iter(body.values()), None) if body else None
    assert json.loads(item) == (listed[0] if isinstance(listed, list) else body)


def test_the_page_lists_the_fields_of_the_code() -> None:
    listed = PAGE.partition("prints this list.\n\n")[2].partition("\n\n## ")[0]
    assert listed == CliRunner().invoke(fields).stdout.strip()
