"""Name the columns of Segment's warehouse schema. Pure.

The rules are those of Segment's own loader: a name is written in small letters with underscores,
and what would take the place of a column of the loader's own is left out
(https://segment.com/docs/connections/storage/warehouses/schema/).
"""

import re
from functools import lru_cache
from hashlib import sha256

RESERVED = frozenset(
    {
        *("id", "user_id", "anonymous_id", "event", "event_text", "uuid_ts"),
        *("timestamp", "original_timestamp", "sent_at", "received_at"),
    }
)
"""Warehouses discard properties with these names, and those that begin with `context_`."""

LONGEST = 63
"""Characters of a name in PostgreSQL. It would cut off the rest, and two names may become one."""

_UNCHANGED = re.compile("(?:[a-z0-9]|_(?=[a-z0-9]))*")
"""The beginning of a name that needs no change."""

_WORD = re.compile("[A-Z0-9]+[a-z0-9]*|[a-z]+[a-z0-9]*")


def is_discarded(column: str) -> bool:
    """Whether a warehouse would discard a property with this name."""
    return not column or column in RESERVED or column.startswith("context_")


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """The name as Segment's loader writes it: `orderID` → `order_id`. It is "" if the name has
    neither an ASCII letter nor a digit."""
    unchanged = _UNCHANGED.match(name)
    end = unchanged.end() if unchanged else 0
    if end == len(name):
        return name
    if name[end - 1 : end].isdigit():  # such a digit belongs to the next word: `top3Items`
        end -= 1
    words = [word.lower() for word in _WORD.findall(name[end:])]
    return "_".join(filter(None, [name[:end], *words]))


@lru_cache(maxsize=4096)
def identifier(name: str) -> str:
    """A name in snake case as every warehouse takes it: no digit first, no two underscores in a
    row, and not too long. A hash takes the place of what is cut off."""
    short = re.sub("_+", "_", f"_{name}" if name[:1].isdigit() else name)
    if len(short) <= LONGEST:
        return short
    return f"{short[: LONGEST - 9]}_{sha256(name.encode()).hexdigest()[:8]}"
