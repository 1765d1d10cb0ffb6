"""Triggers: which events fit, as Segment's own package has it, and what is refused.

The results of tests/golden/triggers.json were computed with @segment/destination-subscriptions
3.37.0, but for those that name Segment.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping_kit.errors import InvalidMapping
from app.mapping_kit.triggers import compile_trigger
from tests.support.any_json import any_text, json_of, thoroughly
from tests.support.golden import GOLDEN

CASES = json.loads((GOLDEN / "triggers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_trigger_fits_exactly_the_events_that_segment_would_send(case: dict[str, Any]) -> None:
    matches = compile_trigger(case["trigger"])
    assert [event for event in case["matches"] if not matches(event)] == []
    assert [event for event in case["others"] if matches(event)] == []


ALL = [compile_trigger(case["trigger"]) for case in CASES]

values = json_of(any_text | st.sampled_from(["a", "length", "0"]))


@thoroughly
@given(st.dictionaries(st.sampled_from(["type", "event", "properties", "traits"]), values))
def test_any_event_can_be_tested(event: dict[str, Any]) -> None:
    for matches in ALL:
        assert matches(event) in (True, False)


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        ("", "A field is expected before the end."),
        ("type", "the end is no comparison"),
        ("type =", "the end is no value"),
        ('type = "track', '"track cannot be read.'),
        ("event = 'A'", "'A' cannot be read."),
        ("event = A", "A is no value"),
        ('event == "A"', "= is no value"),
        ('event is "A"', "is is no comparison"),
        ('"A" = event', 'A field is expected before "A".'),
        ('type = "track" and', "A field is expected before the end."),
        ('type = "track" event = "A"', "event is not expected here"),
        ('type = "track" AND event = "A"', "AND is not expected here"),
        ('type = "track", event = "A"', ", is not expected here"),
        ('type = "track" and event = "A" or event = "B"', "Put parentheses around"),
        ('type = "a" or(type = "b")', "Put a space after or"),
        ('type = "a" and!contains(event, "b")', "Put a space after and"),
        ('(type = "track"', ") is expected before the end."),
        ('type = "track")', ") is not expected here"),
        ('not event = "A"', "not is not supported"),
        ('!(event = "A")', "! is for contains() and match() alone"),
        ('contains(event "A")', ', is expected before "A".'),
        ('contains(type, "A")', "contains() does not take type"),
        ("contains(event, null)", "contains() is for text"),
        ('match(event, "A")', "match() takes one *"),
        ('match(event, "*A*")', "match() takes one *"),
        ("properties.a != true", "use = in their place"),
        ("userId = true", "put true and false in quotes"),
        ("type = null", 'compares type with the text "null"'),
        ("event != null", 'compares event with the text "null"'),
        ("name > 5", "> is for numbers in properties"),
        ('properties.a < "b"', "< is for numbers."),
        ("properties.a < true", "< is for numbers."),
        ('anonymousId = "A"', "anonymousId is no field"),
        ('propertiesX.a = "A"', "propertiesX.a is no field"),
        ('type.a = "A"', "type.a is no field"),
        ("properties = null", "properties is no field"),
        ("properties. = null", "properties. is no field"),
        ("properties.[] = null", "properties.[] is no field"),
    ],
)
def test_what_is_no_trigger_is_refused_with_the_reason(trigger: str, reason: str) -> None:
    with pytest.raises(InvalidMapping) as error:
        compile_trigger(trigger)
    assert reason in str(error.value)
    assert set(error.value.errors) == {""}
