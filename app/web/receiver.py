"""What every webhook's route shares: a whole body or none, and an answer for whatever happens."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from flask import Response
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wrappers import Request

from app.errors import OutboxUnavailable
from app.logs import error_location, get_logger
from app.monitoring import metrics
from app.outbox.skipped import count_skipped

log = get_logger(__name__)

LARGEST_BODY = 1 << 20
"""Bytes of a single event. Drip's are a few kB; a track call cannot be over 32 KB."""

SMALL_BODY = 1 << 14
"""Bytes. These are always taken: connections are limited already (gunicorn.conf.py)."""

MOST_BYTES = 24 << 20
"""Of all larger bodies of a source together. While they are read, each byte is in memory up to
three times."""


class Answer(NamedTuple):
    """What the caller gets, and the log."""

    status: str
    """What became of the webhook, in a word or two."""
    body: Mapping[str, Any]
    """What else the answer says."""
    code: int = HTTPStatus.OK
    headers: Mapping[str, str] = {}
    collection: str = ""
    log_fields: Mapping[str, Any] = {}
    skipped: Mapping[str, int] = {}
    """How many events in it were not kept, by reason."""

    def to_response(self) -> Response:
        """In JSON."""
        body = _ENCODER.encode({"status": self.status, **self.body})
        return Response(f"{body}\n", self.code, self.headers, mimetype="application/json")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def respond(receive: Callable[[], Answer], destination: str, unavailable: Answer) -> Response:
    """Run a webhook's route: whatever fails in it has an answer, a log line and a count.

    `unavailable` is the answer after which the sender sends the webhook again.
    """
    began = time.perf_counter()
    try:
        answer = receive()
    except HTTPException as error:
        code = error.code or HTTPStatus.BAD_REQUEST
        answer = Answer("refused", {"error": error.name}, code, skipped={error.name: 1})
    except Exception as error:  # noqa: BLE001 - an error of ours must not cost the sender's event
        is_outage = isinstance(error, OutboxUnavailable)
        reason = str(error) if is_outage else f"fault: {error_location(error)}"
        log.error("not kept, asking for it again", reason=reason)  # noqa: TRY400
        answer = unavailable
    _report(answer, destination, time.perf_counter() - began, is_logged=answer is unavailable)
    return answer.to_response()


def _report(answer: Answer, destination: str, seconds: float, *, is_logged: bool) -> None:
    """One count for each answer, and one line unless it has one."""
    metrics.count_webhook(destination, answer.status, answer.collection, seconds)
    count_skipped(destination, answer.skipped)
    if not is_logged:
        is_bad = answer.status == "quarantined" or answer.log_fields.get("quarantined")
        level = logging.WARNING if is_bad else logging.INFO
        log.log(level, answer.status, **answer.log_fields, seconds=round(seconds, 4))


class BodyMemory:
    """The memory for large bodies, shared by all callers of one kind."""

    def __init__(self, largest: int = LARGEST_BODY, size: int = MOST_BYTES) -> None:
        """`largest` is how many bytes one body may have, `size` all together."""
        self._largest = largest
        self._left = size
        self._lock = threading.Lock()

    @contextmanager
    def body_of(self, request: Request) -> Iterator[bytes]:
        """The request's whole body, which has its room while the block runs.

        Raises `OutboxUnavailable` if there is none, `RequestEntityTooLarge` if there never will be,
        and `ClientDisconnected` if the body breaks off.
        """
        length = request.content_length
        size = self._largest if length is None else length
        if size > self._largest:
            raise RequestEntityTooLarge
        if size <= SMALL_BODY:
            yield _read_body(request, self._largest)
            return
        with self.room_for(size):
            yield _read_body(request, self._largest)

    @contextmanager
    def room_for(self, size: int) -> Iterator[None]:
        """Have room for so many bytes while the block runs. Raises `OutboxUnavailable`."""
        self._take(size)
        try:
            yield
        finally:
            self._take(-size)

    def _take(self, size: int) -> None:
        with self._lock:
            if size > self._left:
                raise OutboxUnavailable("too many large bodies at once")
            self._left -= size


def _read_body(request: Request, largest: int) -> bytes:
    """The whole body or an error: half of one, kept, would be in quarantine for nothing."""
    length = request.content_length
    if length is None:  # one more than we take: werkzeug ends a body at its limit without an error
        request.max_content_length = largest + 1
    try:
        body = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception:  # noqa: BLE001 - each server has its own errors for a broken framing
        raise ClientDisconnected from None
    if len(body) > largest:
        raise RequestEntityTooLarge
    if length not in (None, len(body)):
        raise ClientDisconnected
    return body
