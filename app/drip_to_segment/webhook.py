"""Serve `POST /webhooks/drip`: receive, translate, keep, answer.

Drip re-sends only after a 429, and switches the webhook off after 3 days of any other error
(docs/development/facts.md § 1). So whatever comes with a valid token is kept and answered 200. If
it cannot be kept now, the answer is 429. Nothing is answered 5xx.
"""

import time
from collections.abc import Mapping
from http import HTTPStatus

from flask import Blueprint, Response, request

from app.drip_to_segment.translate import quarantine, translate
from app.errors import ContentRejected
from app.logs import get_logger
from app.outbox.group_commit import GroupCommit
from app.outbox.messages import Ignored, Message
from app.web.auth import account_of, token_from
from app.web.receiver import Answer, BodyMemory, respond

log = get_logger(__name__)

REFUSED = Answer(
    "refused",
    {"error": "Token missing or wrong."},
    HTTPStatus.UNAUTHORIZED,
    {"WWW-Authenticate": 'Basic realm="bridge"'},
    skipped={"wrong token": 1},
)
UNAVAILABLE = Answer(
    "not kept",
    {"error": "Cannot be kept now; send again."},
    HTTPStatus.TOO_MANY_REQUESTS,
    # Drip documents only that it re-sends for up to 3 days, but other senders may read this
    {"Retry-After": "30"},
)


OTHER_KIND = "not an email event"


def create_webhook(tokens: Mapping[str, str], outbox: GroupCommit) -> Blueprint:
    """The blueprint that keeps what callers with a valid token post.

    `tokens` has, for each token, the Drip account whose events it may post, or "" for all accounts.
    """
    blueprint = Blueprint("webhook", __name__)
    memory = BodyMemory()

    @blueprint.post("/webhooks/drip", strict_slashes=False)
    def receive() -> Response:
        return respond(lambda: _receive(tokens, outbox, memory), outbox.destination, UNAVAILABLE)

    return blueprint


def _receive(tokens: Mapping[str, str], outbox: GroupCommit, memory: BodyMemory) -> Answer:
    account = account_of(token_from(request), tokens)
    if account is None:
        return REFUSED
    with memory.body_of(request) as body:
        message = translate(body, time.time(), account)
        if isinstance(message, Ignored):
            return Answer("ignored", {"event": message.event}, skipped={OTHER_KIND: 1})
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
    body = {"message_id": message.message_id}
    if message.payload is None:
        fields = {**body, "fields": ",".join(message.errors)}
        return Answer("quarantined", {"errors": message.errors}, log_fields=fields)
    collection = message.collection or ""
    fields = {**body, "collection": collection}
    if not is_new:
        return Answer(
            "duplicate", body, collection=collection, log_fields=fields, skipped={"duplicate": 1}
        )
    body["event"] = collection
    return Answer("accepted", body, collection=collection, log_fields=fields)
