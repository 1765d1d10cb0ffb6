"""What Segment's own Drip destinations send for a call, and what the bridge sends, by place."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from app.outbox.messages import Ignored
from app.segment_to_drip.mapping.mappings import compile_mappings, preset
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.sending.dry_run import requests_of
from app.segment_to_drip.translate import translate
from tests.support.golden import GOLDEN, RECEIVED_AT, to_the_letter

ALL: list[dict[str, Any]] = json.loads((GOLDEN / "native_vectors.json").read_text(encoding="utf-8"))

MODES = {
    "classic": DripOptions(initial_status="none"),
    "actions": DripOptions(track_email="properties"),
}
"""Segment's older and newer server destination → the options of the bridge's own rules that come
closest to them. Those of `device` are not compared: what a browser hands to Drip's script is no
request."""

PRESETS = {
    "classic": DripOptions(initial_status="none", mappings=preset("classic")),
    "actions": DripOptions(mappings=preset("actions")),
}
"""Segment's older and newer server destination → the options with the preset of the same name."""

WITHOUT_REQUEST = {"classic-wrong-credentials"}
"""Vectors that have Drip's answer in place of what was sent."""

VECTORS = [
    vector for vector in ALL if vector["mode"] in MODES and vector["name"] not in WITHOUT_REQUEST
]

NOT = "nothing"
"""Stands for a value that one of the two does not send."""

Differences = dict[str, tuple[Any, Any]]
"""Where → what the native destination sends, and what the bridge sends."""


def sent_by_bridge(vector: Mapping[str, Any], options: DripOptions) -> list[tuple[str, Any]]:
    """The requests of the bridge: method and path, and the body."""
    settings = vector["settings"]
    account = settings.get("account") or settings["accountId"]
    calls = vector["input"] if isinstance(vector["input"], list) else [vector["input"]]
    requests = []
    for call in calls:
        message = translate(json.dumps(call).encode(), RECEIVED_AT, account, options)
        if not isinstance(message, Ignored):
            assert message.payload, message.errors
            requests += requests_of(message, account, options)
    return [(f"{each.method} {each.path}", each.body) for each in requests]


def with_mapping(options: DripOptions, fields: Any) -> DripOptions:
    """The options, with an own mapping of these fields. Such vectors are about identify calls."""
    mapping = {"name": "Own", "trigger": 'type = "identify"', "action": "identify"}
    own = {"mappings": [{**mapping, "fields": {**fields, "custom_fields_as_text": True}}]}
    return replace(options, mappings=compile_mappings("own", own), initial_status="none")


def sent_by_segment(vector: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The requests of the native destination; none if it refuses the call."""
    expected = vector["expect"]
    if isinstance(expected, dict):
        return []
    return [(f"{each['method']} {each['path']}", each["body"]) for each in expected]


def by_place(requests: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """The values of all requests, each under its place, such as "event.properties.value"."""
    places: dict[str, Any] = {}
    for path, body in requests:
        inner = body["batches"][0] if "batches" in body else body
        ((list_name, items),) = inner.items()
        (item,) = items
        kind = list_name.removesuffix("s")
        assert f"{kind}.path" not in places, "two requests of one kind"
        places[f"{kind}.path"] = path
        for name, value in item.items():
            places[f"{kind}.{name}"] = {} if isinstance(value, dict) else value
            if isinstance(value, dict):
                places |= {f"{kind}.{name}.{key}": each for key, each in value.items()}
    return places


def differences_of(vector: Mapping[str, Any], options: DripOptions) -> Differences:
    native, ours = by_place(sent_by_segment(vector)), by_place(sent_by_bridge(vector, options))
    pairs = {place: (native.get(place, NOT), ours.get(place, NOT)) for place in native | ours}
    return {
        place: pair
        for place, pair in pairs.items()
        if to_the_letter(pair[0]) != to_the_letter(pair[1])
    }
