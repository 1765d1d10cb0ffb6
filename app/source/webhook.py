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
from typing import Any

from flask import Blueprint, Response, g, jsonify, request
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from app import metrics
from app.errors import CannotKeep, FieldErrors, NotAnEmailEvent, Unreadable
from app.logs import get_logger, where
from app.outbox.group_commit import GroupCommit
from app.outbox.store import Arrival
from app.source.auth import is_known, offered_token
from app.source.schema import body_to_event
from app.source.track import TrackCall, event_to_track

log = get_logger(__name__)

LARGEST_BODY = 1 << 20
"""Bytes. Drip's events are a few kB; a track call cannot be over 32 KB."""

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


def create_webhook(tokens: Sequence[str], outbox: GroupCommit) -> Blueprint:
    """The blueprint that admits callers with one of the tokens and keeps what they post."""
    blueprint = Blueprint("webhook", __name__)

    @blueprint.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @blueprint.post("/webhooks/drip")
    def receive() -> Response:
        if not is_known(offered_token(request), tokens):
            return _unauthorized()
        return _keep(_read_body(), time.time(), outbox)

    @blueprint.errorhandler(Exception)
    def fail(error: Exception) -> Response:
        if isinstance(error, HTTPException):
            return _answer({"status": "refused", "error": error.name}, error.code or 400)
        reason = str(error) if isinstance(error, CannotKeep) else f"fault: {where(error)}"
        log.error("not kept, asking for it again", reason=reason)
        response = _answer({"status": "not kept", "error": "Cannot be kept now; send again."}, 429)
        response.headers["Retry-After"] = RETRY_AFTER
        return response

    @blueprint.after_request
    def tell(response: Response) -> Response:
        if "status" in g:  # Flask answers OPTIONS by itself
            _tell(time.perf_counter() - g.began)
        return response

    return blueprint


def _tell(seconds: float) -> None:
    """One line and one count for each answer."""
    collection = g.get("collection", "")
    metrics.count_webhook(g.status, collection, seconds)
    if g.status == "not kept":
        return  # told already, with its reason
    level = logging.WARNING if g.status == "quarantined" else logging.INFO
    fields = {name: g.get(name) for name in ("message_id", "collection", "fields")}
    said = {name: value for name, value in fields.items() if value}
    log.log(level, g.status, **said, duration=round(seconds, 4))


def _read_body() -> bytes:
    """The whole body or an error: half of one, kept, would stand in quarantine for nothing."""
    # one more than we take: at its limit werkzeug ends a chunked body without a word
    request.max_content_length = LARGEST_BODY + 1
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - how broken framing is told is the server's own affair
        raise ClientDisconnected from None
    if len(body) > LARGEST_BODY:
        raise RequestEntityTooLarge
    if request.content_length not in (None, len(body)):
        raise ClientDisconnected
    return body


def _keep(body: bytes, now: float, outbox: GroupCommit) -> Response:
    try:
        arrival = body_to_arrival(body, now)
    except NotAnEmailEvent as error:
        return _answer({"status": "ignored", "event": error.event})
    except Unreadable as error:
        return _quarantine(body, now, outbox, error.errors)
    except Exception as error:  # noqa: BLE001 - our fault must not cost the sender's event
        log.error("fault of the bridge, event set aside", reason=where(error))  # noqa: TRY400
        return _quarantine(body, now, outbox, {"body": ["A fault of the bridge; see its log."]})
    fresh = outbox.put(arrival)
    g.message_id, g.collection = arrival.message_id, arrival.collection
    if not fresh:
        return _answer({"status": "duplicate", "message_id": g.message_id})
    return _answer({"status": "accepted", "event": g.collection, "message_id": g.message_id})


def _quarantine(body: bytes, now: float, outbox: GroupCommit, errors: FieldErrors) -> Response:
    g.message_id, g.fields = f"raw-{sha256(body).hexdigest()}", ",".join(errors)
    outbox.put(
        Arrival(
            message_id=g.message_id,
            account="",
            payload=None,
            raw=body,
            received_at=now,
            error=json.dumps(errors),
        )
    )
    return _answer({"status": "quarantined", "errors": errors})


def _unauthorized() -> Response:
    response = _answer({"status": "refused", "error": "Token missing or wrong."}, 401)
    response.headers["WWW-Authenticate"] = 'Basic realm="bridge"'
    return response


def _answer(fields: Mapping[str, Any], status: int = 200) -> Response:
    g.status = fields["status"]
    response = jsonify(fields)
    response.status_code = status
    return response
