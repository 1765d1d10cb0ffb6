"""The key that signs what browsers hold, and the link that logs in once.

The link is made by a command and taken by a page; both derive the key from the same secrets.
"""

import hmac
import secrets
from collections.abc import Sequence

from itsdangerous import BadSignature, URLSafeTimedSerializer

LASTS = 15 * 60
"""Seconds for which a link may be used."""


def session_key(password: str, tokens: Sequence[str]) -> bytes:
    """The key that signs the cookies.

    The password alone could be guessed at by whoever has seen a cookie; the webhook's tokens are
    in it too, and they are random. Derived, so that there is no setting more to make and to share.
    """
    purpose = "\0".join(["inspector session", *tokens])
    return hmac.digest(password.encode(), purpose.encode(), "sha256")


def make_ticket(key: bytes) -> str:
    """What a link carries: no secret, and of use to nobody once it was used."""
    return str(_signer(key).dumps(secrets.token_hex(8)))


def read_ticket(key: bytes, ticket: str) -> str | None:
    """The name by which to note that it was used; None if it is not ours, or too old."""
    try:
        return str(_signer(key).loads(ticket, max_age=LASTS))
    except BadSignature:
        return None


def _signer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="login link")
