"""Authenticate the sender of a webhook by a token.

Drip does not sign its webhooks, so a secret in the URL has to do (docs/facts.md § 1).
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

from werkzeug.wrappers import Request


def token_from(request: Request) -> str:
    """Return the token sent as `?token=…`, HTTP Basic password or Bearer token, or "" if none."""
    if token := request.args.get("token"):
        return token
    try:
        authorization = request.authorization
    except ValueError:  # werkzeug raises it for letters that are not ASCII
        return ""
    return (authorization and (authorization.password or authorization.token)) or ""


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
