"""Build Segment's track call from a Drip event, with an id that stays the same in re-sends.
Pure."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

from segment.analytics.client import MAX_MSG_SIZE, Client

from app.columns import is_discarded
from app.drip_to_segment.mapping import (
    COLLECTIONS,
    DOCUMENTED_PROPERTIES,
    HAPPEN_AGAIN,
)
from app.drip_to_segment.schema import DripEvent
from app.errors import InvalidPayload
from app.outbox.messages import Message
from app.version import VERSION

INTEGRATION = {"name": "Drip", "version": VERSION}

NOT_BACK_TO_DRIP = {"Drip": False, "Drip (Actions)": False}
"""Keeps a Drip destination on the same source from sending each event back to Drip."""

_builder = Client("none", send=False, sync_mode=True)
"""The SDK's own builder. With these settings it starts no thread and sends nothing
(docs/development/facts.md § 3)."""

# made once, because `json.dumps` would make one for each call
_ENCODER = json.JSONEncoder(allow_nan=False)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def event_to_message(event: DripEvent, raw: bytes, received_at: float) -> Message:
    """The message for an event, with a track call in ASCII JSON as its payload.

    `raw` is the body that came. `received_at`, in seconds since the epoch, is the event's time if
    Drip sent none.

    Raises `InvalidPayload` if Segment would refuse the call, or take it and drop it
    (docs/development/facts.md § 2).
    """
    try:
        identity = message_id(event, received_at)
        call = _build(event, identity, received_at)
        payload = _ENCODER.encode(call)
    except ValueError:
        raise InvalidPayload({"data": ["A number beyond what JSON can carry."]}) from None
    except RecursionError:
        raise InvalidPayload({"data": ["Nested too deeply to be sent."]}) from None
    return Message(
        message_id=identity,
        account=event.account_id or "",
        payload=payload,
        raw=raw,
        received_at=received_at,
        collection=call["event"],
        email=event.email,
    )


def message_id(event: DripEvent, received_at: float) -> str:
    """The event's id: the same for every re-send, in every process and version, and for no other
    event.

    It is a hash. Of the subscriber only the id is in it, because the rest may change between
    re-sends. The account is in it because Segment drops repeats across all of its workspaces
    (docs/development/facts.md § 2).

    Opens and clicks without a time have the minute of receipt in it. Otherwise each further one of
    an email would pass for a re-send of the first. A re-send after that minute counts as another.
    """
    identity: dict[str, Any] = {
        "event": event.name,
        "account": event.account_id,
        "subscriber": event.subscriber_id or event.email or event.user_id,
        "occurred_at": event.occurred_at and event.occurred_at.isoformat(timespec="microseconds"),
        "properties": event.properties,
    }
    if event.occurred_at is None and event.name in HAPPEN_AGAIN:
        identity["received_minute"] = int(received_at // 60)
    canonical = _CANONICAL.encode(identity)
    return f"drip-{sha256(canonical.encode()).hexdigest()}"


def _build(event: DripEvent, identity: str, received_at: float) -> dict[str, Any]:
    places = _places(event)
    try:
        _, call = _builder.track(
            user_id=event.user_id,
            anonymous_id=None if event.user_id else event.email,
            event=COLLECTIONS[event.name],
            properties=places["properties"],
            context=places["context"],
            timestamp=event.occurred_at or datetime.fromtimestamp(received_at, UTC),
            integrations=NOT_BACK_TO_DRIP,
            message_id=identity,
        )
    except RecursionError:
        raise
    except RuntimeError:  # the SDK's error quotes the whole call, so it is not chained
        raise _too_large() from None
    return {name: value for name, value in call.items() if value is not None}


def _places(event: DripEvent) -> dict[str, dict[str, Any]]:
    """All that Drip sent, under "properties" or "context", without nulls."""
    properties: dict[str, Any] = {
        "account_id": event.account_id,
        "subscriber_id": event.subscriber_id,
    }
    context: dict[str, Any] = {"timezone": event.time_zone, "integration": dict(INTEGRATION)}
    if event.email:
        context["traits"] = {"email": event.email}
    places = {"properties": _without_nulls(properties), "context": _without_nulls(context)}

    sent = _without_nulls(event.properties)
    documented = [name for name in DOCUMENTED_PROPERTIES if _is_text(sent.get(name))]
    for name in documented:
        place, key = DOCUMENTED_PROPERTIES[name]
        places[place][key] = str(sent[name])
    room = MAX_MSG_SIZE
    for name in sorted(sent.keys() - set(documented), key=_snake_case_first):
        free = _free_name(name, places["properties"])
        places["properties"][free] = sent[name]
        room -= len(free)
        if room < 0:  # thousands of names that become the same one would each get a longer prefix
            raise _too_large()
    return places


def _too_large() -> InvalidPayload:
    limit = f"{MAX_MSG_SIZE:,} bytes"
    return InvalidPayload({"body": [f"Over {limit} as a track call, Segment's limit."]})


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """The name in snake case, with `drip_` in front if it would be discarded or is taken."""
    free = _snake_case(name)
    while is_discarded(free) or free in taken:
        free = f"drip_{free}"
    return free


@lru_cache(maxsize=1024)
def _snake_case(name: str) -> str:
    humps = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"\W+", "_", humps).lower()


def _snake_case_first(name: str) -> tuple[bool, str]:
    """The sort key by which names that need no change come first, and so keep their name."""
    return name != _snake_case(name), name


def _is_text(value: Any) -> bool:
    """Whether a value can be sent as text. Numbers can: sent as a number, one would change the type
    of the warehouse's column."""
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _without_nulls(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}
