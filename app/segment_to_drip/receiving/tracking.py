"""Serve `/v1/…`: take calls from Segment's own SDKs, as Segment's HTTP API does.

So an SDK reaches Drip without Segment, by having the bridge as its host. The paths, limits and
answers are Segment's (docs/development/facts.md § 7). An SDK sends again after a 5xx, and drops
what is answered 400 or 401.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import NamedTuple

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.errors import InvalidPayload, OutboxUnavailable
from app.outbox.group_commit import GroupCommit
from app.segment_to_drip.options import DripOptions
from app.segment_to_drip.receiving.analytics_js import settings_for, url_of
from app.segment_to_drip.receiving.enrichment import Arrival
from app.segment_to_drip.receiving.keeping import RETRY_AFTER, in_turns, keep
from app.segment_to_drip.receiving.tracking_body import (
    LARGEST_BATCH,
    LARGEST_CALL,
    inflated,
    read_posted,
)
from app.segment_to_drip.receiving.tracking_call import TrackedCalls
from app.web.auth import account_of, user_from
from app.web.client_address import client_address
from app.web.receiver import Answer, BodyMemory, respond

TYPES = ("identify", "track", "page", "screen", "group", "alias")
PATHS: Mapping[str, str] = {
    **{name: name for name in TYPES},
    **{name[0]: name for name in TYPES},  # as analytics.js abbreviates them
    "batch": "",
    "b": "",
}
"""Last part of the path → the type of its call; "" for a batch, in which each call has its type."""

OF_KEY_HOLDERS = 32 << 20
OF_STRANGERS = 8 << 20
"""Bytes of large bodies in memory together. A write key in the body can only be checked once the
body is in memory. Segment's SDKs have it in a header too, so strangers cannot take their room."""

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-Retry-Count, *",
    "Access-Control-Expose-Headers": "Retry-After",
    "Access-Control-Max-Age": "86400",
}
"""Any site may post: the write key in its pages is no secret. No answer depends on a cookie."""


class _Answer(Answer):
    """An answer in the words of Segment's API."""

    def to_response(self) -> Response:
        """In JSON."""
        return Response(json.dumps(self.body), self.code, self.headers, mimetype="application/json")


def _refused(code: HTTPStatus, name: str, message: str, reason: str = "") -> Answer:
    body = {"success": False, "code": name, "message": message}
    return _Answer("refused", body, code, skipped={reason: 1} if reason else {})


# without WWW-Authenticate, for which a browser would ask the visitors of a site for a password
WRONG_KEY = _refused(
    HTTPStatus.UNAUTHORIZED, "invalid_write_key", "No valid write key.", "wrong write key"
)
TOO_LARGE = _refused(
    HTTPStatus.BAD_REQUEST, "too_large", "Over 32 KB, or a batch over 500 KB.", "too large"
)
NOT_JSON = _refused(HTTPStatus.BAD_REQUEST, "invalid_json", "Not a JSON object.")
UNAVAILABLE = _Answer(
    "not kept",
    {"success": False, "code": "unavailable", "message": "Cannot be kept now; send again."},
    HTTPStatus.SERVICE_UNAVAILABLE,
    RETRY_AFTER,
)


class _Receiver(NamedTuple):
    """What is needed to receive a request."""

    keys: Mapping[str, str]
    outbox: GroupCommit
    options: DripOptions
    trusted_proxies: int | None
    of_key_holders: BodyMemory
    of_strangers: BodyMemory


def create_tracking(
    keys: Mapping[str, str],
    outbox: GroupCommit,
    options: DripOptions,
    public_url: str | None = None,
    trusted_proxies: int | None = None,
) -> Blueprint:
    """The blueprint that keeps what comes with a write key. `keys` has the Drip account of each, or
    "" for the default account."""
    blueprint = Blueprint("tracking", __name__)
    receiver = _Receiver(
        keys,
        outbox,
        options,
        trusted_proxies,
        BodyMemory(LARGEST_BATCH, OF_KEY_HOLDERS),
        BodyMemory(LARGEST_BATCH, OF_STRANGERS),
    )

    def receive(call_type: str) -> Response:
        return respond(lambda: _receive(receiver, call_type), outbox.destination, UNAVAILABLE)

    def settings(key: str) -> Response:
        if account_of(key, keys) is None:
            return WRONG_KEY._replace(code=HTTPStatus.NOT_FOUND).to_response()
        return jsonify(settings_for(key, public_url or url_of(request)))

    for path, call_type in PATHS.items():
        blueprint.add_url_rule(
            f"/v1/{path}",
            path,
            partial(receive, call_type),
            methods=["POST"],
            strict_slashes=False,
        )
    blueprint.add_url_rule("/v1/projects/<key>/settings", view_func=settings)

    @blueprint.after_request
    def allow_any_site(response: Response) -> Response:
        response.headers.update(CORS)
        return response

    return blueprint


def _receive(receiver: _Receiver, call_type: str) -> Answer:
    account: str | None = None
    memory = receiver.of_strangers
    if key := user_from(request):
        account = account_of(key, receiver.keys)
        memory = receiver.of_key_holders
        if account is None:
            return WRONG_KEY
    try:
        with _body_of(memory, LARGEST_CALL if call_type else LARGEST_BATCH) as body:
            return _take(receiver, call_type, account, body)
    except RequestEntityTooLarge:
        return TOO_LARGE
    except InvalidPayload:
        return NOT_JSON
    except ClientDisconnected:
        raise OutboxUnavailable("the body broke off") from None  # after a 400 it would be lost


@contextmanager
def _body_of(memory: BodyMemory, largest: int) -> Iterator[bytes]:
    """The request's body, inflated if it was compressed. Raises as `BodyMemory.body_of` and
    `inflated` do."""
    with memory.body_of(request) as body:
        if request.headers.get("Content-Encoding", "").lower() != "gzip":
            yield _checked(body, largest)
            return
        with memory.room_for(largest):
            yield _checked(inflated(body, largest), largest)


def _checked(body: bytes, largest: int) -> bytes:
    if len(body) > largest:
        raise RequestEntityTooLarge
    return body


def _take(receiver: _Receiver, call_type: str, account: str | None, body: bytes) -> Answer:
    """Keep the calls of a body. Its account is None as long as no write key was checked. Raises
    `InvalidPayload` if the body is no JSON object."""
    try:
        posted = read_posted(body)
    except InvalidPayload as error:
        if account is None:
            raise
        # an SDK drops what is answered 400, so the operator has to see it here
        aside = _calls(receiver, account).aside(body, error.errors)
        answer = keep([aside], receiver.outbox)
        return _Answer(*answer._replace(code=NOT_JSON.code, body=NOT_JSON.body))
    if account is None:
        account = account_of(posted.write_key, receiver.keys)
    if account is None:
        return WRONG_KEY
    calls = _calls(receiver, account)
    found = calls.of_path(posted, call_type) if call_type else calls.of_batch(posted)
    try:
        messages = in_turns(found, receiver.outbox)
    except InvalidPayload as error:
        messages = [calls.aside(body, error.errors)]
    return _Answer(*keep(messages, receiver.outbox)._replace(body={"success": True}))


def _calls(receiver: _Receiver, account: str) -> TrackedCalls:
    address = client_address(request, receiver.trusted_proxies)
    is_known = address and not address.is_loopback  # that of a proxy which does not name its client
    arrival = Arrival(
        time.time(), str(address) if is_known else "", is_browser="Origin" in request.headers
    )
    account = account or receiver.options.default_account
    return TrackedCalls(receiver.keys, account, arrival, receiver.options)
