"""The webhook's URL: to write, to recognise, to show without its secret."""

from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

PATH = "/webhooks/drip"

_DEFAULT_PORTS = {"http": 80, "https": 443}


USER = "drip"
"""The user name that stands before the secret; the bridge takes any."""


def webhook_url(base: str, token: str, is_basic: bool = False) -> str:
    """What Drip is to post to, secret included, where the bridge is reached at `base`.

    With HTTP Basic the secret is in no query, which proxies log.
    """
    secret = quote(token, safe="")
    if is_basic:
        scheme, _, host = base.rstrip("/").partition("://")
        return f"{scheme}://{USER}:{secret}@{host}{PATH}"
    return f"{base.rstrip('/')}{PATH}?token={secret}"


def has_token_in_query(post_url: str) -> bool:
    """Whether the secret is where proxies log it."""
    parts = _split(post_url)
    return parts is not None and "token" in dict(parse_qsl(parts.query))


def leads_to(base: str, post_url: str) -> bool:
    """Whether this is the webhook of the bridge at `base`, whatever its token."""
    place = _place(post_url)
    return place is not None and place == _place(base.rstrip("/") + PATH)


def is_exact(post_url: str) -> bool:
    """Whether the path is the one that the bridge answers at: it takes no slash at the end."""
    parts = _split(post_url)
    return parts is not None and parts.path == PATH


def token_in(post_url: str) -> str | None:
    """The secret in the query, or else the password, as the bridge itself looks for it."""
    parts = _split(post_url)
    if parts is None:
        return None
    in_query = dict(reversed(parse_qsl(parts.query))).get("token")  # of several, the first
    return in_query or unquote(parts.password or "") or None


def masked(post_url: str) -> str:
    """To show: where it leads, with neither token, query nor user name."""
    parts = _split(post_url)
    if parts is None:
        return "(not a URL)"
    host = parts.netloc.rpartition("@")[2]
    query = "?token=…" if "token=" in parts.query else "?…" if parts.query else ""
    return f"{parts.scheme}://{host}{parts.path}{query}"


def _place(url: str) -> tuple[str, str | None, int | None, str] | None:
    parts = _split(url)
    if parts is None:
        return None
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        return None
    return parts
