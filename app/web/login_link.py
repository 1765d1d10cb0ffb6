"""The key that signs cookies, and single-use tickets for links that log in.

A command makes the link and a page reads it. Both derive the key from the same secrets.
"""

import hmac
import secrets
from collections.abc import Sequence

from itsdangerous import BadSignature, URLSafeTimedSerializer

LASTS = 15 * 60
"""Seconds for which a link is valid."""


def session_key(password: str, tokens: Sequence[str]) -> bytes:
    """Derive the key that signs cookies and tickets, so that no further setting is needed.

    The random webhook tokens are part of it. With the password alone, anyone with a cookie could
    try passwords against its signature.
    """
    purpose = "\0".join(["inspector session", *tokens])
    return hmac.digest(password.encode(), purpose.encode(), "sha256")


def make_ticket(key: bytes) -> str:
    """Make the ticket for a link. It contains no secret, and can be used once."""
    return str(_signer(key).dumps(secrets.token_hex(8)))


def read_ticket(key: bytes, ticket: str) -> str | None:
    """Return the id by which to record that a ticket was used, or None if it is not valid."""
    try:
        return str(_signer(key).loads(ticket, max_age=LASTS))
    except BadSignature:
        return None


def _signer(key: bytes) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt="login link")
