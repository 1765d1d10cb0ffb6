"""Each field's way: over every golden pair, nothing is left unexplained and nothing told twice."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.inspector.trace import FieldTrace, NotTraceable, trace_fields
from tests.support.bridge_process import ROOT
from tests.support.builders import payload_of
from tests.support.golden import PAIRS, RECEIVED_AT, read_pair

SENT = [path for path in PAIRS if "segment" in read_pair(path)]


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of all values that hold no other, written another way than the code's."""
    if value in ({}, []) or not isinstance(value, dict | list):
        yield path
    elif isinstance(value, dict):
        for name, below in value.items():
            plain = all(c.isalnum() or c in "_-() " for c in name) and name
            yield from leaves(below, f"{path}.{name}" if plain else f"{path}[{json.dumps(name)}]")
    else:
        for place, below in enumerate(value):
            yield from leaves(below, f"{path}[{place}]")


def paths(value: Any) -> list[str]:
    return sorted(path.removeprefix(".") for path in leaves(value))


def ways(drip: Any) -> list[FieldTrace]:
    return trace_fields(json.dumps(drip).encode(), RECEIVED_AT)


def opened(subscriber: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    data = {"subscriber": subscriber or {"email": "ana@example.com"}, "properties": properties}
    return {"event": "subscriber.opened_email", "data": data}


def way_of(drip: Any, source: str) -> tuple[tuple[str, ...], str]:
    (found,) = [way for way in ways(drip) if way.source == source]
    return found.targets, found.change


@pytest.mark.parametrize("path", SENT, ids=lambda path: path.stem)
def test_every_value_is_explained_exactly_once(path: Any) -> None:
    pair = read_pair(path)
    found = ways(pair["drip"])
    assert sorted(way.source for way in found if way.source) == paths(pair["drip"])
    assert sorted(target for way in found for target in way.targets) == paths(pair["segment"])


@pytest.mark.parametrize(
    ("source", "targets", "what"),
    [
        ("event", ("event",), "reformatted"),
        ("occurred_at", ("timestamp",), "renamed, reformatted"),
        ("data.account_id", ("properties.account_id",), "unchanged"),
        ("data.subscriber.id", ("properties.subscriber_id",), "renamed"),
        ("data.subscriber.user_id", ("userId",), "renamed"),
        ("data.subscriber.email", ("context.traits.email",), "unchanged"),
        ("data.subscriber.time_zone", ("context.timezone",), "renamed"),
        ("data.subscriber.custom_fields.plan", (), "not sent: profile"),
        ("data.subscriber.user_agent", (), "left out: null"),
        ("data.properties.url", ("properties.link_url",), "renamed"),
        ("data.properties.ip_address", ("context.ip",), "into the context, renamed"),
    ],
)
def test_the_way_of_a_field_of_a_click(source: str, targets: tuple[str, ...], what: str) -> None:
    clicked = json.loads((ROOT / "samples" / "clicked_email.json").read_bytes())
    assert way_of(clicked, source) == (targets, what)


def test_an_address_goes_two_ways_if_there_is_no_user_id() -> None:
    targets, what = way_of(opened({"email": " ana@example.com"}), "data.subscriber.email")
    assert set(targets) == {"anonymousId", "context.traits.email"}
    assert "trimmed" in what


@pytest.mark.parametrize(
    ("name", "value", "targets", "what"),
    [
        ("email_id", 7, ("properties.email_id",), "as text"),
        ("email_id", True, ("properties.email_id",), "unchanged"),
        ("email_subject", " ", ("properties.email_subject",), "unchanged"),
        ("MyName", 1.5, ("properties.my_name",), "renamed"),
        (
            "event",
            False,
            ("properties.drip_event",),
            "drip_ in front, or it would be dropped or overwrite another",
        ),
        ("a", None, (), "left out: null"),
        ("a", {}, ("properties.a",), "unchanged"),
    ],
)
def test_the_way_of_a_property(name: str, value: Any, targets: tuple[str, ...], what: str) -> None:
    assert way_of(opened(None, **{name: value}), f"data.properties.{name}") == (targets, what)


def test_a_propertys_value_is_followed_into_its_depth() -> None:
    found = ways(opened(None, Items=[{"a": None, "b": []}, True, "x"]))
    assert {way.source: way.targets for way in found if "Items" in way.source} == {
        "data.properties.Items[0].a": ("properties.items[0].a",),
        "data.properties.Items[0].b": ("properties.items[0].b",),
        "data.properties.Items[1]": ("properties.items[1]",),
        "data.properties.Items[2]": ("properties.items[2]",),
    }


def test_what_the_bridge_adds_has_no_source() -> None:
    added = {way.targets[0]: way for way in ways(opened()) if not way.source}
    assert set(added) == {
        *("type", "messageId", "properties"),
        "timestamp",
        "integrations.Drip",
        "integrations.Drip (Actions)",
        *("context.integration.name", "context.integration.version"),
        *("context.library.name", "context.library.version"),
    }
    assert added["timestamp"].value == '"2026-11-02T09:31:07.250+00:00"'
    assert "Drip sent no time" in added["timestamp"].change


def test_a_body_with_the_words_of_the_marks_is_not_mistaken() -> None:
    said = opened(None, a="~3~", b="2001-02-03T04:05:06.000+00:00", c="Email Opened", d=10**15)
    for name in "abcd":
        assert way_of(said, f"data.properties.{name}")[0] == (f"properties.{name}",)


def test_what_cannot_be_followed_is_shown() -> None:
    nearly = opened(None, **{f"a{number}": 1 for number in range(1_900)})
    payload_of(json.dumps(nearly).encode(), RECEIVED_AT)
    with pytest.raises(NotTraceable, match="32 KB"):
        ways(nearly)
    for body in (b"[]", b'{"event": "subscriber.created"}'):
        with pytest.raises(NotTraceable, match="today's rules"):
            trace_fields(body, RECEIVED_AT)
