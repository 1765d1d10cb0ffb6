"""Trace each field of Segment's call to where its value is in what Drip gets.

This needs no second list of the translation's rules. Each value is taken out of the body, and the
rest is translated again: what is missing or different then came from that value.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from app.inspector.trace import FieldTrace, NotTraceable, Path, dotted, leaves
from app.outbox.messages import Message

MOST_TRACED = 300
"""Values of a body. Each takes a tenth of a millisecond."""

Translate = Callable[[bytes], Any]
"""Returns what `translate` makes of a body."""

ALL_OF_IT = "decides what becomes of the whole call"


def trace_call(raw: bytes, translate: Translate) -> list[FieldTrace]:
    """Trace each value of the body, in its order. Raises `NotTraceable`."""
    whole = _sent(translate(raw))
    if whole is None:
        raise NotTraceable("not one that today's rules can read")
    sent, left_out = whole
    try:
        body = json.loads(raw)
        received = list(leaves(body))
    except RecursionError:
        raise NotTraceable("nested too deeply") from None
    if len(received) > MOST_TRACED:
        raise NotTraceable(f"one of more than {MOST_TRACED} values")
    return [_trace(body, path, value, sent, left_out, translate) for path, value in received]


def _trace(
    body: Any,
    path: Path,
    value: Any,
    sent: dict[Path, Any],
    left_out: dict[str, str],
    translate: Translate,
) -> FieldTrace:
    as_json = json.dumps(value, ensure_ascii=False)
    without = _sent(translate(json.dumps(_without(body, path)).encode()))
    if without is None:  # nothing is sent without it
        same = tuple(dotted(target) for target in sent if sent[target] == value)
        return FieldTrace(dotted(path), same, as_json, "renamed" if same else ALL_OF_IT)
    rest = without[0]
    targets = [target for target in sent if sent[target] != rest.get(target)]
    reason = left_out.get(".".join(map(str, path)))
    if reason:
        change = reason if targets else f"left out: {reason}"
    else:
        change = _change(path, value, targets, sent)
    return FieldTrace(dotted(path), tuple(map(dotted, targets)), as_json, change)


def _change(path: Path, value: Any, targets: list[Path], sent: dict[Path, Any]) -> str:
    if not targets:
        return "left out: null" if value is None else "not sent: Drip has no place for it"
    target = targets[0]
    if sent[target] == value and type(sent[target]) is type(value):
        return "unchanged" if target[-1] == path[-1] else "renamed"
    return "reformatted"


def _sent(translated: Any) -> tuple[dict[Path, Any], dict[str, str]] | None:
    """The values of what Drip gets by path, and what is left out. None if nothing is sent."""
    if not isinstance(translated, Message) or not translated.payload:
        return None
    call = json.loads(translated.payload)
    gets = _values(call)
    for other in (*translated.ahead, *translated.follow_ups):
        goes_along = json.loads(other.payload or "{}")
        gets[goes_along["type"]] = goes_along.get("campaign_id") or _values(goes_along)
    return dict(leaves(gets)), call.get("left_out", {})


def _values(call: Mapping[str, Any]) -> dict[str, Any]:
    """What Drip gets of one message."""
    who = dict(reversed(call.get("who", ())))  # the first of each kind
    values = {"email": who.get("email")}
    if "email" not in who and "drip" in who:
        values["id"] = who["drip"]
    for name in ("subscriber", "once", "event", "order"):
        values |= call.get(name, {})
    return values


def _without(value: Any, path: Path) -> Any:
    """The value without what is at the path. In a list, null takes its place."""
    first, *rest = path or ("",)
    if isinstance(value, dict):
        kept = {name: below for name, below in value.items() if name != first or rest}
        return {**kept, first: _without(value[first], tuple(rest))} if rest else kept
    if isinstance(value, list):
        inner = _without(value[int(first)], tuple(rest)) if rest else None
        return [inner if place == first else below for place, below in enumerate(value)]
    return None
