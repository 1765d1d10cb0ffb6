"""Is the caller our Drip account?

Drip signs nothing, so a secret in the URL has to tell (docs/facts.md § 1).
"""

import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

from werkzeug.wrappers import Request


def token_from(request: Request) -> str:
    """The secret that came as `?token=…`, HTTP Basic password or Bearer token; "" if none did."""
    if token := request.args.get("token"):
        return token
    try:
        authorization = request.authorization
    except ValueError:  # werkzeug's, of letters that are not ASCII
        return ""
    return (authorization and (authorization.password or authorization.token)) or ""


def is_valid_token(offered: str, tokens: Iterable[str]) -> bool:
    """Whether it is one of ours. Several are valid while one is being rotated out.

    Digests of one length are compared, each to its end and all of them, so that the time it takes
    tells neither how long a secret is, nor how much of it was right, nor which of them it was.
    """
    digest = sha256(offered.encode(errors="surrogatepass")).digest()
    matches = [hmac.compare_digest(digest, sha256(token.encode()).digest()) for token in tokens]
    return any(matches)


def has_token(request: Request, token: str | None) -> bool:
    """Whether the request has the token, or there is none to have."""
    return token is None or is_valid_token(token_from(request), [token])


def account_of(offered: str, tokens: Mapping[str, str]) -> str | None:
    """The account whose events the token may post, "" for any account's; None if it is not ours.

    `tokens` gives each token's account.
    """
    if not is_valid_token(offered, tokens):
        return None
    return tokens[offered]
