"""Who is refused by the head of the request alone, before a thread, or Flask, is busied with it.

A flood of strangers is cheap only if each of them is. What is not plainly to be refused goes on to
the webhook, which has the last word.
"""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus

from werkzeug.wrappers import Request

from app.request_end import Verdict
from app.source.auth import is_known, offered_token

_WEBHOOK = re.compile(rb"POST /webhooks/drip(?:\?([!\"$-~]*))? HTTP/1\.[01]\r\n")
_PLAIN = re.compile(rb"POST /webhooks/drip\?token=([A-Za-z0-9_-]+) HTTP/1\.[01]\r\n")
"""As `flask url` prints it: nothing in it has to be decoded."""

_AUTHORIZATION = re.compile(rb"\r\nauthorization:[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)


def head_to_verdict(head: bytes, tokens: Sequence[str]) -> Verdict:
    """What becomes of a request that starts with this head, which ends before the empty line.

    Of the webhook's callers those are refused who have no token of ours, and the others take turns;
    of others those are refused who send a body in chunks, which no browser does: a million chunks
    of a byte are cheap to send and dear to read.
    """
    if (plain := _PLAIN.match(head)) and is_known(plain[1].decode(), tokens):
        return _ADMITTED
    webhook = _WEBHOOK.match(head)
    if webhook is None:
        return _LENGTH_REQUIRED if _CHUNKED.search(head) else _UNDECIDED
    credentials = _AUTHORIZATION.findall(head)
    if len(credentials) > 1:
        return _UNDECIDED
    environ = {"QUERY_STRING": (webhook[1] or b"").decode()}
    if credentials:
        environ["HTTP_AUTHORIZATION"] = credentials[0].strip().decode("latin-1")
    return _ADMITTED if is_known(offered_token(Request(environ)), tokens) else _UNAUTHORIZED


def _refused(status: HTTPStatus, error: str, *fields: str) -> Verdict:
    body = json.dumps({"status": "refused", "error": error})
    lines = [
        f"HTTP/1.1 {status} {status.phrase}",
        *fields,
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    return Verdict("\r\n".join([*lines, "", body]).encode())


_UNDECIDED = Verdict()
_ADMITTED = Verdict(takes_turns=True)
_UNAUTHORIZED = _refused(
    HTTPStatus.UNAUTHORIZED, "Token missing or wrong.", 'WWW-Authenticate: Basic realm="bridge"'
)
_LENGTH_REQUIRED = _refused(HTTPStatus.LENGTH_REQUIRED, "Length Required")
