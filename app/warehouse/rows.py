"""Make the rows of Segment's warehouse schema from one call. Pure.

The columns are those of https://segment.com/docs/connections/storage/warehouses/schema/.
"""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from app.columns import identifier, is_discarded, snake_case
from app.database.sql import storable

DEEPEST = 8
"""Objects within objects that become columns. What is deeper stays JSON: nobody would find it under
a name of that length."""

BAGS = {"track": "properties", "page": "properties", "screen": "properties"}
"""The type of a call → which of its objects gives columns without a prefix; else its traits."""

TABLES = {
    "identify": "identifies",
    "page": "pages",
    "screen": "screens",
    "group": "groups",
    "alias": "aliases",
}
"""The type of a call → its table. Of track calls each event has its own."""

TAKEN = frozenset({"tracks", "users", *TABLES.values()})
"""Tables that no event gets."""

Values = dict[str, Any]


class Row(NamedTuple):
    """One row of a table, by its columns. Empty values are left out."""

    table: str
    values: Values


def call_to_rows(call: Mapping[str, Any], message_id: str, received_at: float) -> Iterator[Row]:
    """The rows of one call that came at `received_at`, in seconds since the epoch.

    A track call has two: one in `tracks`, and one in the table of its event with its properties. An
    identify call of a person with a user id has one in `identifies` and one in `users`.
    """
    common = _common(call, message_id, received_at)
    kind = call.get("type")
    own = _columns(call.get(BAGS.get(str(kind), "traits")))
    if kind == "track":
        event = str(call["event"])
        common |= {"event": snake_case(event), "event_text": storable(event)}
        yield Row("tracks", common)
        if table := _table_of(common["event"]):
            yield Row(table, common | own)
    elif kind in TABLES:
        yield Row(TABLES[kind], common | own)
        if kind == "identify" and "user_id" in common:
            yield Row("users", _of_user(common) | own)


def _table_of(event: str) -> str:
    """The table of an event by its name in snake case; "" if nothing of the name is left."""
    name = event.lstrip("_")
    return identifier(f"{name}_event" if name in TAKEN else name)


def _common(call: Mapping[str, Any], message_id: str, received_at: float) -> Values:
    """The columns that each table has. Drip says of no event when it was sent, so that counts as
    sent when it came; then Segment's formula gives it the time at which it happened."""
    came = _time(call.get("receivedAt")) or datetime.fromtimestamp(received_at, UTC)
    happened = _time(call.get("timestamp")) or came
    columns: Values = {
        "id": storable(str(call.get("messageId") or message_id)),
        "received_at": came,
        "sent_at": _time(call.get("sentAt")) or came,
        "timestamp": happened,
        "original_timestamp": _time(call.get("originalTimestamp")) or happened,
    }
    for column, name in (("user_id", "userId"), ("anonymous_id", "anonymousId")):
        if call.get(name) is not None:
            columns[column] = storable(str(call[name]))
    context = call.get("context")
    if isinstance(context, dict):
        _flatten(context, "context", columns, 0)
    return columns


def _of_user(common: Values) -> Values:
    """What a row of `users` has beside the traits: the person in place of the call."""
    left_out = {"user_id", "anonymous_id", "sent_at", "timestamp", "original_timestamp"}
    kept = {name: value for name, value in common.items() if name not in left_out}
    return kept | {"id": common["user_id"]}


def _columns(bag: Any) -> Values:
    """The columns of properties or traits."""
    columns: Values = {}
    if isinstance(bag, dict):
        _flatten(bag, "", columns, 0)
    return {name: value for name, value in columns.items() if not is_discarded(name)}


def _flatten(bag: Mapping[str, Any], prefix: str, columns: Values, depth: int) -> None:
    """Add a column for each value. Of two with one name, the first stays."""
    for name, value in bag.items():
        own = snake_case(name)
        if value is None or value == "" or not own:  # dlt gives PostgreSQL no empty text
            continue
        column = identifier(f"{prefix}_{own}" if prefix else own)
        if isinstance(value, dict) and depth < DEEPEST:
            _flatten(value, column, columns, depth + 1)
        else:
            columns.setdefault(column, _plain(value))


def _plain(value: Any) -> Any:
    """The value as a column can have it: arrays as JSON, and numbers beyond any column as text."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, int | float) and not _is_number_of_a_column(value):
        return str(value)
    if isinstance(value, list | dict):
        return storable(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return value


def _is_number_of_a_column(value: int | float) -> bool:
    return math.isfinite(value) if isinstance(value, float) else -(1 << 63) <= value < 1 << 63


def _time(value: Any) -> datetime | None:
    """The time of a timestamp; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
