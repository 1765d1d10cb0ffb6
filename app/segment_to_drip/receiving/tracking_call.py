"""Translate what an SDK of Segment posts into messages to keep."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app.errors import FieldErrors, InvalidPayload
from app.json_reading import read_object
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.mapping.interest import is_left_out
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.receiving.enrichment import Arrival, enrich
from app.segment_to_drip.receiving.tracking_body import LARGEST_CALL, Posted, to_bytes
from app.segment_to_drip.translate import quarantine, translate


@dataclass(frozen=True)
class TrackedCalls:
    """The calls of one request."""

    keys: Mapping[str, str]
    """The write keys, which are not to be kept."""
    account: str
    """The Drip account that the calls are for, or "" if none is set."""
    arrival: Arrival
    options: DripOptions

    def of_path(self, posted: Posted, call_type: str) -> Iterator[Message | Ignored]:
        """Yield what the only call of a body becomes, whose path says its type."""
        yield self._translate(posted.text, {"type": call_type}, {})

    def of_batch(self, posted: Posted) -> Iterator[Message | Ignored]:
        """Yield what each call of a batch becomes. Raises as `Posted.calls` does."""
        shared = posted.shared
        for text in posted.calls():
            yield self._translate(text, {}, shared)

    def aside(self, body: bytes, errors: FieldErrors) -> Message:
        """A quarantined message with what came, but for the write keys."""
        for key in self.keys:
            body = body.replace(key.encode(), b"(write key)")
        return quarantine(Message("", self.account, None, body, self.arrival.at), errors)

    def _translate(
        self, text: str, by_path: Mapping[str, Any], shared: Mapping[str, Any]
    ) -> Message | Ignored:
        body = to_bytes(text)
        if len(body) > LARGEST_CALL:
            return self.aside(body, {"body": ["Over 32 KB."]})
        try:
            call = enrich({**read_object(body), **by_path}, shared, self.arrival, str(uuid4()))
            enriched = json.dumps(call).encode()
        except InvalidPayload as error:
            return self.aside(body, error.errors)
        except RecursionError:
            return self.aside(body, {"body": ["Nested too deeply to be sent."]})
        if is_left_out(call.get("integrations")):
            return Ignored(str(call.get("type")), "integrations")
        return translate(enriched, self.arrival.at, self.account, self.options)
