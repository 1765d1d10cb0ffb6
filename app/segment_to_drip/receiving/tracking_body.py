"""Read the body that an SDK of Segment posts, up to the text of each call. Pure."""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from app.errors import InvalidPayload
from app.json_elements import elements, members

LARGEST_CALL = 32 << 10
LARGEST_BATCH = 500 << 10
"""Bytes. Segment's SDKs keep to these, and count 1,024 for a kB."""

MOST_CALLS = 2_500
"""Of one batch."""

SHARED = ("sentAt", "context", "integrations")
"""What a batch may say for all its calls."""


class Posted(NamedTuple):
    """What one request has."""

    text: str
    """The body. Letters that are not UTF-8 are passed on in it, so that they cost one call only."""
    members: Mapping[str, str]
    """The text of each member of the body's object."""

    @property
    def write_key(self) -> str:
        """The write key in the body, or "" if it has none."""
        key = self.value("writeKey")
        return key if isinstance(key, str) else ""

    @property
    def shared(self) -> Mapping[str, Any]:
        """What the body of a batch says for all its calls."""
        return {name: value for name in SHARED if (value := self.value(name)) is not None}

    def calls(self) -> Iterator[str]:
        """Yield the text of each call of a batch. Raises `InvalidPayload`, at the latest after
        `MOST_CALLS` of them; what was yielded before should then not count."""
        batch = self.members.get("batch", "")
        try:
            for number, (begin, end) in enumerate(elements(batch)):
                if number == MOST_CALLS:
                    raise InvalidPayload({"batch": [f"More than {MOST_CALLS:,} calls."]})
                yield batch[begin:end]
        except ValueError:
            raise InvalidPayload({"batch": ["Not a JSON array."]}) from None

    def value(self, name: str) -> Any:
        """The value of a member. None if there is none, or it cannot be read."""
        try:
            return json.loads(self.members.get(name, "null"))
        except (ValueError, RecursionError):
            return None


def to_bytes(text: str) -> bytes:
    """The bytes that a text of a body was."""
    return text.encode(errors="surrogateescape")


def read_posted(body: bytes) -> Posted:
    """Raises `InvalidPayload` if the body is no JSON object."""
    text = body.decode(errors="surrogateescape")
    try:
        parts = {name: text[begin:end] for name, begin, end in members(text)}
    except (ValueError, RecursionError):
        raise InvalidPayload({"body": ["Not a JSON object."]}) from None
    return Posted(text, parts)


def inflated(body: bytes, largest: int) -> bytes:
    """Inflate what is compressed by gzip, up to one byte more than the largest that is taken.

    Raises `InvalidPayload` if it is no gzip, or not all of it.
    """
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = inflater.decompress(body, largest + 1)
    except zlib.error:
        raise InvalidPayload({"body": ["Not compressed by gzip."]}) from None
    if not inflater.eof and len(text) <= largest:
        raise InvalidPayload({"body": ["Compressed by gzip, and broken off."]})
    return text
