"""`POST /webhooks/drip`: admit, read, translate, keep, answer.

What Drip does in return decides each answer (docs/facts.md § 1): it re-sends only after a 429,
and switches the webhook off after 3 days of any other error. So whatever came with a valid token is
kept and gets a 200, unless it cannot be kept now; and nothing here ends in a 5xx.
"""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app.drip_to_segment.translate import quarantine, translate
from app.errors import ContentRejected, OutboxUnavailable
from app.logs import get_logger, where
from app.monitoring import metrics
from app.outbox.group_commit import GroupCommit
from app.outbox.messages import Ignored, Message
from app.web.auth import account_of, token_from
from app.web.receiver import Room, read_body

log = get_logger(__name__)

RETRY_AFTER = "30"
"""Seconds, for a sender that reads it. Drip documents only that it re-sends for up to 3 days."""


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


def create_webhook(tokens: Mapping[str, str], outbox: GroupCommit) -> Blueprint:
    """The blueprint that admits callers with one of the tokens and keeps what they post.

    `tokens` gives the Drip account whose events a token may post, "" for any account's.
    """
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
        _report(answer, outbox.destination, time.perf_counter() - began)
        return answer.to_response()

    return blueprint


def _receive(tokens: Mapping[str, str], outbox: GroupCommit, room: Room) -> Answer:
    account = account_of(token_from(request), tokens)
    if account is None:
        how = {"WWW-Authenticate": 'Basic realm="bridge"'}
        return Answer("refused", {"error": "Token missing or wrong."}, 401, how)
    with room.held(request):
        message = translate(read_body(request), time.time(), account)
        if isinstance(message, Ignored):
            return Answer("ignored", {"event": message.event})
        return _keep(message, outbox)


def _keep(message: Message, outbox: GroupCommit) -> Answer:
    try:
        is_new = outbox.put(message)
    except ContentRejected as error:
        log.error("refused by the database, event set aside", reason=str(error))  # noqa: TRY400
        message = quarantine(message, {"body": [f"The database refuses it: {error}"]})
        is_new = outbox.put(message)
    return _to_answer(message, is_new)


def _to_answer(message: Message, is_new: bool) -> Answer:
    said = {"message_id": message.message_id}
    if message.payload is None:
        about = {**said, "fields": ",".join(message.errors)}
        return Answer("quarantined", {"errors": message.errors}, about=about)
    collection = message.collection or ""
    about = {**said, "collection": collection}
    if not is_new:
        return Answer("duplicate", said, collection=collection, about=about)
    return Answer("accepted", {**said, "event": collection}, collection=collection, about=about)


def _not_kept(error: Exception) -> Answer:
    reason = str(error) if isinstance(error, OutboxUnavailable) else f"fault: {where(error)}"
    log.error("not kept, asking for it again", reason=reason)
    said = {"error": "Cannot be kept now; send again."}
    return Answer("not kept", said, 429, {"Retry-After": RETRY_AFTER})


def _report(answer: Answer, destination: str, seconds: float) -> None:
    """One line and one count for each answer."""
    metrics.count_webhook(destination, answer.status, answer.collection, seconds)
    if answer.status == "not kept":
        return  # it has a line already, with the reason
    level = logging.WARNING if answer.status == "quarantined" else logging.INFO
    log.log(level, answer.status, **answer.about, duration=round(seconds, 4))
