"""`POST /webhooks/drip`: admit, read, translate, keep, answer.

What Drip does in return decides each answer (docs/facts.md § 1): it re-sends only after a 429,
and switches the webhook off after 3 days of any other error. So whatever came with a valid token is
kept and gets a 200, unless it cannot be kept now; and nothing here ends in a 5xx.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import metrics
from app.errors import CannotKeep, ContentRefused, FieldErrors, NotAnEmailEvent, Unreadable
from app.logs import get_logger, where
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Arrival
from app.source.auth import is_known, offered_token
from app.source.body import Room, read_body
from app.source.schema import body_to_event
from app.source.track import TrackCall, event_to_track

log = get_logger(__name__)

RETRY_AFTER = "30"
"""Seconds, for a sender that reads it. Drip documents only that it re-sends for up to 3 days."""


def body_to_track(body: bytes, received_at: float) -> TrackCall:
    """The whole translation. Raises `NotAnEmailEvent` or `Unreadable`."""
    return event_to_track(body_to_event(body), received_at)


def body_to_arrival(body: bytes, received_at: float) -> Arrival:
    """The event to keep. Raises as `body_to_track`."""
    call = body_to_track(body, received_at)
    return Arrival(
        message_id=call.message_id,
        account=call.account_id,
        collection=call.collection,
        email=call.email,
        payload=call.payload,
        raw=body,
        received_at=received_at,
    )


class Answer(NamedTuple):
    """What the caller is told, and the log."""

    status: str
    """What became of the webhook, in a word or two."""
    said: Mapping[str, Any]
    code: int = 200
    headers: Mapping[str, str] = {}
    collection: str = ""
    about: Mapping[str, Any] = {}
    """For the log alone."""

    def to_response(self) -> Response:
        """In JSON."""
        body = _ENCODER.encode({"status": self.status, **self.said})
        return Response(f"{body}\n", self.code, self.headers, mimetype="application/json")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def create_webhook(tokens: Sequence[str], outbox: GroupCommit) -> Blueprint:
    """The blueprint that admits callers with one of the tokens and keeps what they post."""
    blueprint = Blueprint("webhook", __name__)
    room = Room()

    @blueprint.post("/webhooks/drip", strict_slashes=False)
    def receive() -> Response:
        began = time.perf_counter()
        try:
            answer = _receive(tokens, outbox, room)
        except HTTPException as error:
            answer = Answer("refused", {"error": error.name}, error.code or 400)
        except Exception as error:  # noqa: BLE001 - nothing here ends in a 5xx
            answer = _not_kept(error)
        _tell(answer, time.perf_counter() - began)
        return answer.to_response()

    return blueprint


def _receive(tokens: Sequence[str], outbox: GroupCommit, room: Room) -> Answer:
    if not is_known(offered_token(request), tokens):
        how = {"WWW-Authenticate": 'Basic realm="bridge"'}
        return Answer("refused", {"error": "Token missing or wrong."}, 401, how)
    with room.held(request):
        return _keep(read_body(request), time.time(), outbox)


def _not_kept(error: Exception) -> Answer:
    reason = str(error) if isinstance(error, CannotKeep) else f"fault: {where(error)}"
    log.error("not kept, asking for it again", reason=reason)
    said = {"error": "Cannot be kept now; send again."}
    return Answer("not kept", said, 429, {"Retry-After": RETRY_AFTER})


def _tell(answer: Answer, seconds: float) -> None:
    """One line and one count for each answer."""
    metrics.count_webhook(answer.status, answer.collection, seconds)
    if answer.status == "not kept":
        return  # told already, with its reason
    level = logging.WARNING if answer.status == "quarantined" else logging.INFO
    log.log(level, answer.status, **answer.about, duration=round(seconds, 4))


def _keep(body: bytes, now: float, outbox: GroupCommit) -> Answer:
    try:
        arrival = body_to_arrival(body, now)
    except NotAnEmailEvent as error:
        return Answer("ignored", {"event": error.event})
    except Unreadable as error:
        return _quarantine(body, now, outbox, error.errors)
    except Exception as error:  # noqa: BLE001 - our fault must not cost the sender's event
        log.error("fault of the bridge, event set aside", reason=where(error))  # noqa: TRY400
        return _quarantine(body, now, outbox, {"body": ["A fault of the bridge; see its log."]})
    try:
        is_new = outbox.put(arrival)
    except ContentRefused as error:
        log.error("refused by the database, event set aside", reason=str(error))  # noqa: TRY400
        return _quarantine(body, now, outbox, {"body": [f"The database refuses it: {error}"]})
    said = {"message_id": arrival.message_id}
    about = {**said, "collection": arrival.collection}
    collection = arrival.collection or ""
    if not is_new:
        return Answer("duplicate", said, collection=collection, about=about)
    said["event"] = collection
    return Answer("accepted", said, collection=collection, about=about)


def _quarantine(body: bytes, now: float, outbox: GroupCommit, errors: FieldErrors) -> Answer:
    message_id = f"raw-{sha256(body).hexdigest()}"
    outbox.put(
        Arrival(
            message_id=message_id,
            account="",
            payload=None,
            raw=body,
            received_at=now,
            error=json.dumps(errors),
        )
    )
    about = {"message_id": message_id, "fields": ",".join(errors)}
    return Answer("quarantined", {"errors": errors}, about=about)
