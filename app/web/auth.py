"""Authenticate the sender of a webhook by a token, or by the signature of its body.

Drip does not sign its webhooks, so a secret in the URL has to do (docs/development/facts.md § 1).
Segment signs them with HMAC-SHA1 (docs/development/facts.md § 6).
"""

import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256

from werkzeug.wrappers import Request

from app.json_elements import first_element, is_array, unwrapped

MOST_SIGNED = 1 << 20
"""Bytes in which a batch's first element has to end. Segment's events have 32 KB, and looking
further would let strangers take much time and memory."""


def token_from(request: Request) -> str:
    """Return the token sent as `?token=…`, HTTP Basic password or Bearer token, or "" if none."""
    if token := request.args.get("token"):
        return token
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":  # werkzeug takes a token with "=" in it for something else
        return rest.strip()
    try:
        authorization = request.authorization
    except ValueError:  # werkzeug raises it for letters that are not ASCII
        return ""
    return (authorization and (authorization.password or authorization.token)) or ""


def user_from(request: Request) -> str:
    """Return the user name of HTTP Basic, or "" if none."""
    try:
        authorization = request.authorization
    except ValueError:  # as in `token_from`
        return ""
    return (authorization and authorization.username) or ""


def is_valid_token(offered: str, tokens: Iterable[str]) -> bool:
    """Return whether the offered token is one of ours, in constant time.

    All digests are compared, each to its end. So the time it takes reveals neither the length of a
    token, nor how much of it was right, nor which of them it was.
    """
    digest = sha256(offered.encode(errors="surrogatepass")).digest()
    matches = [hmac.compare_digest(digest, sha256(token.encode()).digest()) for token in tokens]
    return any(matches)


def has_token(request: Request, token: str | None) -> bool:
    """Whether the request has the token, or there is none to have."""
    return token is None or is_valid_token(token_from(request), [token])


def account_of(offered: str, tokens: Mapping[str, str]) -> str | None:
    """Return the account whose events the token may post, or None if it is not ours.

    "" means any account. `tokens` maps each token to its account.
    """
    if not is_valid_token(offered, tokens):
        return None
    return tokens[offered]


def signature_from(request: Request) -> str:
    """Return what `X-Signature` has, or "" if it cannot be an HMAC-SHA1 in hexadecimal."""
    signature = request.headers.get("X-Signature", "")
    return signature if _SIGNATURE.fullmatch(signature) else ""


_SIGNATURE = re.compile("[0-9a-f]{40}")


def signed_by(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Return whether the signature is that of the body, with one of our secrets.

    Segment signs one event alone as the body has it. Of a batch it signs the first event only, and
    a wrapper around an event is put on after signing. The others of a batch are not covered, so
    anybody who has seen a signed event can add others to it.
    """
    if not _SIGNATURE.fullmatch(signature):
        return False
    keys = [secret.encode() for secret in secrets]
    return any(_matches(candidate, signature, keys) for candidate in _signed_parts(body))


def _signed_parts(body: bytes) -> Iterator[bytes]:
    """What the signature may have been made of, to the letter: written again in Python, numbers and
    letters would look another way."""
    yield body
    text = body[:MOST_SIGNED].decode(errors="surrogateescape")
    part = first_element(text) if is_array(text) else text
    for inner in dict.fromkeys([part, unwrapped(part)]):
        if inner and inner != text:
            yield inner.encode(errors="surrogateescape")


def _matches(part: bytes, signature: str, keys: Iterable[bytes]) -> bool:
    """Whether it is the part's signature. All keys are tried, each to its end: the time it takes
    does not tell which was right, or how nearly."""
    digests = [hmac.digest(key, part, "sha1").hex() for key in keys]
    matches = [hmac.compare_digest(digest, signature) for digest in digests]
    return any(matches)
