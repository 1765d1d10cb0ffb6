"""What `replay` does with an event of each source: post it to its webhook, or translate it."""

import json
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Protocol

import click
from flask.testing import FlaskClient

from app.config.settings import Settings
from app.drip_to_segment.translate import translate as translate_webhook
from app.formatting import pluralize
from app.json_elements import unwrapped
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.direction import options_of
from app.segment_to_drip.mapping.traits import SENT, WITHOUT_PLACE
from app.segment_to_drip.sending.dry_run import DryRun
from app.segment_to_drip.sending.operations import Request
from app.segment_to_drip.translate import translate as translate_call

Answer = Mapping[str, Any]
"""What the webhook answers: `status`, and `errors` by field if it is quarantined."""

NO_COLLECTION = "(no collection)"

OFF = "left out"
"""The status of an event whose webhook is off."""

TRANSLATED = "translated"
"""The status of an event of which was printed what would be sent."""

WAITS = "waits for an address"
"""The status of an event of which nothing would be sent yet."""

Counts = Counter[tuple[str, str]]
"""How many events there are of each collection and status."""


class Source(Protocol):
    """What sent an event."""

    def collection(self, body: bytes) -> str:
        """The collection of an event, for the table."""

    def post(self, client: FlaskClient, body: bytes) -> Answer:
        """Post an event to its webhook."""

    def translate(self, body: bytes, place: str) -> Answer:
        """Print what would be sent for an event, which stands at this place in a file."""

    def end(self, counts: Counts) -> None:
        """Report what is left after the last event, and count it rightly."""


class FromDrip:
    """Drip's webhooks, which become track calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collection(self, body: bytes) -> str:
        """The collection of the track call."""
        return _collection(translate_webhook(body, 0.0))

    def post(self, client: FlaskClient, body: bytes) -> Answer:
        """Post it with the first token."""
        secret = ("", self._settings.webhook_tokens[0])
        answer: Answer = client.post("/webhooks/drip", data=body, auth=secret).get_json()
        return answer

    def translate(self, body: bytes, place: str) -> Answer:  # noqa: ARG002 - the protocol's
        """Print the track call."""
        translated = translate_webhook(body, time.time())
        if isinstance(translated, Ignored) or translated.payload is None:
            return _unsent(translated)
        click.echo(translated.payload)
        return {"status": TRANSLATED}

    def end(self, counts: Counts) -> None:
        """Nothing is left."""


class FromSegment:
    """Segment's calls, which become requests to Drip."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._options = options_of(settings)
        self._left_out = 0
        self._seen: set[str] = set()
        self._run = DryRun(settings.drip_account_id or "ACCOUNT", self._options)

    def collection(self, body: bytes) -> str:
        """The type of the call."""
        translated = self._translate(body)
        return translated.event if isinstance(translated, Ignored) else _collection(translated)

    def post(self, client: FlaskClient, body: bytes) -> Answer:
        """Post it with the first secret, if there is one."""
        if not self._settings.segment_webhook_secrets:
            self._left_out += 1
            return {"status": OFF}
        secret = ("", self._settings.segment_webhook_secrets[0])
        answer = client.post("/webhooks/segment", data=body, auth=secret).get_json()
        errors = answer.get("reasons", {}).get("quarantined", {})
        return {**answer, "errors": errors.get("0", {})}

    def translate(self, body: bytes, place: str) -> Answer:
        """Print the requests, also those for earlier calls whose address this one brings."""
        translated = self._translate(body)
        if isinstance(translated, Message) and translated.payload is not None:
            return {"status": self._take(translated, place)}
        return _unsent(translated)

    def _take(self, message: Message, place: str) -> str:
        """Print what is sent now that this message is there. Returns its status, in the words of
        the webhook: a call that comes again is sent once, and an alias makes no request."""
        if message.message_id in self._seen:
            return "duplicate"
        self._seen.add(message.message_id)
        for request in self._run.take(message, place):
            click.echo(_request_to_line(request))
        return "ignored" if message.collection == "alias" else TRANSLATED

    def end(self, counts: Counts) -> None:
        """Name the calls whose address is not known, and say if the webhook is off."""
        if self._left_out:
            click.echo(
                f"Left out: {pluralize(self._left_out, 'event')} of Segment, because "
                "SEGMENT_WEBHOOK_SECRET is not set, so their webhook is off. To only look at "
                "what Drip would get: --dry-run",
                err=True,
            )
        waiting = self._run.waiting
        for place, events in Counter(each.place for each in waiting).items():
            of_several = f"{pluralize(events, 'event')} wait for an address"
            click.echo(f"{place}: {WAITS if events == 1 else of_several}", err=True)
        for each in waiting:  # whether it goes on waiting is known at the end only
            collection = each.message.collection or NO_COLLECTION
            counts[collection, TRANSLATED] -= 1
            counts[collection, WAITS] += 1

    def _translate(self, body: bytes) -> Message | Ignored:
        return translate_call(body, time.time(), self._options.default_account, self._options)


def source_of(body: bytes) -> str | None:
    """Whose event a body is by its shape: "drip", "segment", or None if neither."""
    try:
        # letters that are not UTF-8 are for the webhook to judge, and so are numbers of any length
        text = body.decode(json.detect_encoding(body), errors="replace")
        value = json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if str(value.get("event", "")).startswith("subscriber.") and "data" in value:
        return "drip"
    is_call = str(value.get("type", "")).lower() in SENT | WITHOUT_PLACE
    return "segment" if is_call else None


def unwrap(body: bytes) -> bytes:
    """An event without the wrapper in which Segment's Extensible Webhook posts it."""
    text = body.decode(errors="surrogateescape")
    inner = unwrapped(text)
    return body if inner is text else inner.encode(errors="surrogateescape")


def _collection(translated: Message | Ignored) -> str:
    return (isinstance(translated, Message) and translated.collection) or NO_COLLECTION


def _unsent(translated: Message | Ignored) -> Answer:
    if isinstance(translated, Ignored):
        return {"status": "ignored"}
    return {"status": "quarantined", "errors": translated.errors}


def _request_to_line(request: Request) -> str:
    return json.dumps({"method": request.method, "path": request.path, "body": request.body})
