"""Serve `/webhooks/segment`: receive events one by one or in batches, translate, keep, answer.

Segment sends again after a 5xx, and drops what is answered 4xx (docs/development/facts.md § 6). So
whatever comes with a valid signature or token is kept and answered 200, and if it cannot be kept
now, the answer is 503. The events of a batch have nothing to do with one another: each is accepted,
a duplicate, ignored or quarantined by itself.
"""

import re
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from flask import Blueprint, Response, request
from werkzeug.exceptions import ClientDisconnected

from app.errors import FieldErrors, OutboxUnavailable
from app.outbox.group_commit import GroupCommit
from app.outbox.messages import Ignored, Message
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.receiving.elements import NotCut, events_of
from app.segment_to_drip.receiving.keeping import UNAVAILABLE, in_turns, keep
from app.segment_to_drip.translate import quarantine, translate
from app.web.auth import is_valid_token, signature_from, signed_by, token_from
from app.web.receiver import Answer, BodyMemory, respond

LARGEST_BODY = 8 << 20
"""Bytes of a batch. Segment's have about 4 MB."""

OF_TOKEN_HOLDERS = 32 << 20
OF_SIGNERS = 24 << 20
"""Bytes of large bodies in memory together. A signature can only be checked once the body is in
memory, so strangers can use up the second, but never the first."""

REFUSED = Answer(
    "refused",
    {"error": "Neither a valid signature nor a valid token."},
    HTTPStatus.UNAUTHORIZED,
    {"WWW-Authenticate": 'Basic realm="bridge"'},
    skipped={"wrong signature or token": 1},
)


class _Receiver(NamedTuple):
    """What is needed to receive a request."""

    secrets: Sequence[str]
    outbox: GroupCommit
    options: DripOptions
    of_token_holders: BodyMemory
    of_signers: BodyMemory


def create_webhook(secrets: Sequence[str], outbox: GroupCommit, options: DripOptions) -> Blueprint:
    """The blueprint that keeps what is signed with one of the secrets, or has one as its token.

    The path may name the Drip account that the events are for.
    """
    blueprint = Blueprint("segment_webhook", __name__)
    receiver = _Receiver(
        secrets,
        outbox,
        options,
        BodyMemory(LARGEST_BODY, OF_TOKEN_HOLDERS),
        BodyMemory(LARGEST_BODY, OF_SIGNERS),
    )

    def receive(account: str = "") -> Response:
        return respond(
            lambda: _receive(receiver, account.strip("/")), outbox.destination, UNAVAILABLE
        )

    for path in ("/webhooks/segment", "/webhooks/segment/<path:account>"):
        blueprint.add_url_rule(
            path, view_func=receive, methods=["POST", "PUT", "PATCH"], strict_slashes=False
        )
    return blueprint


def _receive(receiver: _Receiver, account: str) -> Answer:
    signature = ""
    memory = receiver.of_token_holders
    if not is_valid_token(token_from(request), receiver.secrets):
        signature = signature_from(request)
        memory = receiver.of_signers
        if not signature:
            return REFUSED
    try:
        with memory.body_of(request) as body:
            if signature and not signed_by(body, signature, receiver.secrets):
                return REFUSED
            return keep(_translate(body, account, receiver), receiver.outbox)
    except ClientDisconnected:
        raise OutboxUnavailable("the body broke off") from None  # after a 400 it would be lost


def _translate(body: bytes, account: str, receiver: _Receiver) -> list[Message | Ignored]:
    """What each event of a body becomes."""
    received_at = time.time()
    account = account or receiver.options.default_account
    options = receiver.options
    translated = (translate(event, received_at, account, options) for event in events_of(body))
    try:
        found = in_turns(translated, receiver.outbox)
    except NotCut as error:
        whole = Message("", account, None, body, received_at)
        found = [quarantine(whole, {"body": [str(error)]})]
    if account and not _ACCOUNT.fullmatch(account):
        return [_of_no_account(each) for each in found]
    return found


_ACCOUNT = re.compile("[0-9]{1,20}")


def _of_no_account(each: Message | Ignored) -> Message | Ignored:
    """The same event in quarantine, because the path has an account that is none: a 404 would lose
    it."""
    if isinstance(each, Ignored):
        return each
    shown = re.sub(r"[^\w.-]", "?", each.account, flags=re.ASCII)[:40]
    errors: FieldErrors = {
        "account": ["The path has to end with a Drip account id, which has digits only."]
    }
    return quarantine(each._replace(account=shown), {**each.errors, **errors})
