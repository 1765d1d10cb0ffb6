"""A file of mappings: what is wrong with it is said all at once, each with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigError
from app.mapping_kit.errors import InvalidMapping
from app.segment_to_drip.mapping.mappings import MOST, PRESETS, compile_mappings, load, preset

GOOD = {"name": "a", "trigger": 'type = "track"', "action": "trackEvent", "fields": {"action": "b"}}


def errors(*mappings: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidMapping) as caught:
        compile_mappings("file", {"mappings": [*mappings]})
    return {place: [*reasons] for place, reasons in caught.value.errors.items()}


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    return str(caught.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_used(name: str) -> None:
    assert preset(name).name == name
    assert preset(name).all


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = errors(
        {**GOOD, "trigger": 'type == "track"'},
        {**GOOD, "name": "b", "action": "dance"},
        {**GOOD, "name": "c", "fields": {"acton": 1, "action": {"@liquid": "x"}}},
    )
    # the form comes first: without it nothing can be compiled
    assert found == {
        "mappings.1.action": [
            "Not one of identify, trackEvent, order, subscribeToCampaign, unsubscribe."
        ]
    }
    found = errors(
        {**GOOD, "trigger": 'type == "track"'},
        {**GOOD, "name": "c", "fields": {"acton": 1, "action": {"@liquid": "x"}}},
    )
    assert found.keys() == {
        "mappings.0.trigger",
        "mappings.1.fields.acton",
        "mappings.1.fields.action",
    }
    assert "Not a field of trackEvent" in found["mappings.1.fields.acton"][0]
    assert "@liquid" in found["mappings.1.fields.action"][0]


def test_two_mappings_need_two_names() -> None:
    assert errors(GOOD, GOOD) == {"mappings.1.name": ["Another mapping has this name."]}


def test_there_are_one_to_fifty() -> None:
    many = [{**GOOD, "name": str(number)} for number in range(MOST + 1)]
    assert len(compile_mappings("file", {"mappings": many[:MOST]}).all) == MOST
    assert errors(*many).keys() == {"mappings"}
    assert errors().keys() == {"mappings"}


@pytest.mark.parametrize(
    "value", [[], None, 5, {"mapping": []}, {"mappings": 5}, {"mappings": [5]}]
)
def test_another_form_is_refused(value: Any) -> None:
    with pytest.raises(InvalidMapping):
        compile_mappings("file", value)


def test_a_file_is_named_by_its_last_part(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"mappings": [GOOD]}))
    assert load(str(path)).name == "mine.json"


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"mappings": [GOOD]}), encoding="utf-8-sig")
    assert load(str(path)).all


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    assert "No such file" in refused(path)
    assert "bridge, classic, actions" in refused(path)
    assert "directory" in refused(tmp_path)
    path.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in refused(path)
    path.write_text('{"mappings": [')
    assert "Not JSON" in refused(path)
    path.write_text("[" * 100_000)
    assert "nested too deeply" in refused(path)


def test_what_is_wrong_in_a_file_stands_a_line_each(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"mappings": [GOOD, GOOD]}))
    assert refused(path) == (
        f"DRIP_MAPPING: {path} cannot be used:\n  mappings.1.name: Another mapping has this name."
    )
