"""Directives: what Segment's own mapping-kit computes, and what no mapping or event may do.

The pairs of tests/golden/mapping_kit.json were computed with @segment/actions-core 3.170.0. A pair
whose result is meant to be another one here has Segment's beside it.
"""

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping_kit.directives import compile_fields
from app.mapping_kit.errors import InvalidMapping
from tests.support.any_json import any_text, json_of, thoroughly
from tests.support.golden import GOLDEN, to_the_letter

PAIRS = json.loads((GOLDEN / "mapping_kit.json").read_text(encoding="utf-8"))

PATH = {"@path": "$.properties.a"}

SHAPED = {"@arrayPath": ["$.properties", {"b": PATH, "c": {"@path": "$."}}]}

ENCODED = {"@json": {"mode": "encode", "value": {"@path": "$."}}}

ANYTHING: dict[str, Any] = {
    "path": PATH,
    "computed": {"@path": PATH},
    "template": {"@template": "{{properties.a}} {{{.}}} {{traits[0].length}}"},
    "computed template": {"@template": PATH},
    "if": {"@if": {"exists": PATH, "then": [PATH], "else": PATH}},
    "blank": {"@if": {"blank": PATH, "then": {"a": PATH}}},
    "shaped": SHAPED,
    "case": {"@case": {"operator": "upper", "value": PATH}},
    "replace": {"@replace": {"pattern": "a", "replacement": "$&$&", "value": PATH}},
    "flat": {"@flatten": {"separator": ".", "value": {"@path": "$."}}},
    "encoded": {"@json": {"mode": "encode", "value": SHAPED}},
    "decoded": {"@json": {"mode": "decode", "value": PATH}},
    "merged": {"@merge": {"direction": "left", "objects": [PATH, {"a": PATH}, {"@path": "$."}]}},
    "excluded": {"@excludeWhenNull": {"@path": "$."}},
}
"""A field for each directive, with the event in it in many ways."""

resolve_anything = compile_fields(ANYTHING)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["why"])
def test_fields_become_exactly_what_segment_makes_of_them(pair: dict[str, Any]) -> None:
    assert to_the_letter(compile_fields(pair["fields"])(pair["event"])) == to_the_letter(
        pair["expected"]
    )


values = json_of(any_text | st.sampled_from(["a", "$.properties", "{{traits}}", "[{}]", "length"]))


@thoroughly
@given(
    st.dictionaries(st.sampled_from(["type", "properties", "traits"]), values)
    | st.fixed_dictionaries({"properties": st.fixed_dictionaries({"a": values})})
)
def test_any_event_is_mapped_without_an_error_and_left_as_it_was(event: dict[str, Any]) -> None:
    before = copy.deepcopy(event)
    json.dumps(resolve_anything(event))
    assert to_the_letter(event) == to_the_letter(before)


@pytest.mark.parametrize("number", [json.loads("1e400"), 10**400])
def test_a_number_beyond_javascript_is_infinity_and_in_json_null(number: float) -> None:
    fields = {"text": {"@template": "{{n}}"}, "json": ENCODED}
    assert compile_fields(fields)({"n": -number}) == {"text": "-Infinity", "json": '{"n":null}'}


def test_what_is_nested_too_deeply_costs_no_other_field() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = {"a": [deep]}
    found = compile_fields({**ANYTHING, "user": {"@path": "$.userId"}})(
        {"userId": "7", "properties": {"a": deep}}
    )
    assert found["user"] == "7"
    assert found["path"] is deep
    assert "flat" not in found


@pytest.mark.parametrize("text", ["{{" * 30_000 + "}", "{{a}" * 20_000, "{{a." * 20_000])
def test_text_of_an_event_cannot_make_a_mapping_slow(text: str) -> None:
    start = time.process_time()
    resolve_anything({"properties": {"a": text}})
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("value", "place", "reason"),
    [
        ({"@liquid": "{{ a }}"}, "", "@liquid is not supported"),
        ({"@transform": {}}, "", "@transform is not supported"),
        ({"@path": "$.a", "@template": "a"}, "", "has to stand alone"),
        ({"@path": "$.a", "b": 1}, "", "has to stand alone"),
        ([{"a": {"@oops": 1}}], ".0.a", "@oops is not supported"),
        ({"@literal": {"a": {"@oops": 1}}}, ".@literal.a", "@oops is not supported"),
        ({"@path": False}, ".@path", "text or a directive"),
        ({"@template": 5}, ".@template", "text or a directive"),
        ({"@if": {"then": 1}}, ".@if", "Needs exists or blank"),
        ({"@if": {"exists": {"@oops": 1}}}, ".@if.exists", "@oops is not supported"),
        ({"@if": {"exists": 1, "blank": {"@oops": 1}}}, ".@if.blank", "@oops is not supported"),
        ({"@if": {"exists": 1, "els": 2}}, ".@if.els", "Not a key of this directive"),
        ({"@if": "$.a"}, ".@if", "Has to be an object with exists, blank, then, else"),
        ({"@case": {}}, ".@case", "Needs operator, value."),
        ({"@case": {"operator": "Lower", "value": "a"}}, ".@case.operator", "lower or upper"),
        ({"@case": {"operator": "lower", "value": ""}}, ".@case.value", "text or a directive"),
        ({"@replace": {"value": "a"}}, ".@replace", "Needs pattern."),
        ({"@replace": {"pattern": "", "value": "a"}}, ".@replace.pattern", "Has to be text"),
        ({"@replace": {"pattern": "a" * 11, "value": "a"}}, ".@replace.pattern", "at most 10"),
        (
            {"@replace": {"pattern": "a", "replacement": "$`", "value": "a"}},
            ".@replace.replacement",
            "are not supported",
        ),
        (
            {"@replace": {"pattern": "a", "global": "yes", "value": "a"}},
            ".@replace.global",
            "true or false",
        ),
        ({"@arrayPath": "$.a"}, ".@arrayPath", "Has to be a list"),
        ({"@arrayPath": [5]}, ".@arrayPath.0", "text or a directive"),
        ({"@arrayPath": ["a", {"b": {"@oops": 1}}]}, ".@arrayPath.1.b", "@oops is not supported"),
        ({"@flatten": {"value": 1, "separator": ""}}, ".@flatten.separator", "Has to be text"),
        ({"@json": {"mode": "both", "value": 1}}, ".@json.mode", "encode or decode"),
        ({"@json": {"mode": "encode", "value": None}}, ".@json.value", "a directive or a value"),
        ({"@merge": {"direction": "up", "objects": []}}, ".@merge.direction", "left or right"),
        ({"@merge": {"direction": "left", "objects": {}}}, ".@merge.objects", "a list"),
        (
            {"@merge": {"direction": "left", "objects": [{}, "a"]}},
            ".@merge.objects.1",
            "an object or a directive",
        ),
        ({"@excludeWhenNull": {"@oops": 1}}, ".@excludeWhenNull", "@oops is not supported"),
    ],
)
def test_a_faulty_mapping_is_refused_by_its_place(value: Any, place: str, reason: str) -> None:
    with pytest.raises(InvalidMapping) as error:
        compile_fields({"good": 1, "bad": value})
    ((where, (why,)),) = error.value.errors.items()
    assert where == f"fields.bad{place}"
    assert reason in why


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidMapping) as error:
        compile_fields({"a": {"@oops": 1}, "b": [{"@path": 5}], "@path": "$.a"})
    assert set(error.value.errors) == {"fields.a", "fields.b.0.@path", "fields.@path"}
    assert "fields.a: @oops is not supported." in str(error.value)
