"""Check the bridge's webhook in Drip, and build and read its URL. Pure."""

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from app.clients.drip_answers import Webhook
from app.drip_to_segment.mapping import COLLECTIONS

PATH = "/webhooks/drip"
"""Where the bridge serves the webhook."""

USER = "drip"
"""The user name for HTTP Basic. The bridge takes any."""

RECEIVED = "subscriber.received_email"
"""The one event that Drip sends by a flag of its own (docs/development/facts.md § 1)."""

IN_QUERY = "Its token is in the query of its URL, which proxies log."

LOCAL_NAMES = (".localhost", ".local", ".internal")
"""How names end that only machines nearby can resolve (RFC 6761 and 6762, and ICANN)."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def faults(
    webhook: Webhook, base: str | None, tokens: Sequence[str], is_basic: bool = False
) -> list[str]:
    """What is wrong with a webhook, in sentences. None for one that posts the right events to the
    right place with the first of `tokens`.

    Without a `base` any host is right. With `is_basic` the token must not be in the query.
    """
    return [
        *_address_faults(webhook.post_url, base),
        *([IN_QUERY] if is_basic and has_token_in_query(webhook.post_url) else []),
        *_token_faults(token_in(webhook.post_url), tokens),
        *_event_faults(webhook),
    ]


def _address_faults(post_url: str, base: str | None) -> Iterator[str]:
    if base is not None and not leads_to(base, post_url):
        yield f"It posts to {masked(post_url)}, not to the bridge at {base}."
    elif not has_our_path(post_url):
        yield f"Its path is not {PATH}: the bridge answers 404 there."


def _token_faults(token: str | None, tokens: Sequence[str]) -> Iterator[str]:
    if token is None:
        yield "It carries no token: the bridge refuses what it posts."
    elif token not in tokens:
        yield (
            "Its token is not in DRIP_WEBHOOK_TOKEN: a bridge with these settings refuses what it "
            "posts."
        )
    elif token != tokens[0]:
        yield (
            "Its token is not the first of DRIP_WEBHOOK_TOKEN: what it posts is refused once that "
            "one is taken out."
        )


def _event_faults(webhook: Webhook) -> Iterator[str]:
    # Drip sends received_email by this flag alone, not by its list of events
    # (docs/development/facts.md § 1)
    if not webhook.includes_received_email:
        yield f"It is without include_received_email: Drip leaves out {RECEIVED}."
    if missing := COLLECTIONS.keys() - webhook.events - {RECEIVED}:
        yield f"It leaves out {', '.join(sorted(missing))}."
    if others := webhook.events - COLLECTIONS.keys():
        yield f"It posts what the bridge ignores: {', '.join(sorted(others))}."


def webhook_url(base: str, token: str, is_basic: bool = False) -> str:
    """The URL that Drip posts to, with the secret, if the bridge is reached at `base`.

    With `is_basic` the secret is sent by HTTP Basic instead of the query, which proxies log.
    """
    secret = quote(token, safe="")
    if is_basic:
        scheme, _, host = base.rstrip("/").partition("://")
        return f"{scheme}://{USER}:{secret}@{host}{PATH}"
    return f"{base.rstrip('/')}{PATH}?token={secret}"


def has_token_in_query(post_url: str) -> bool:
    """Whether the secret is in the query, which proxies log."""
    parts = _split(post_url)
    return parts is not None and "token" in dict(parse_qsl(parts.query))


def is_public(base: str) -> bool:
    """Whether Drip may reach this address: it is not one of this machine or a private network."""
    parts = _split(base)
    host = (parts.hostname if parts else None) or ""
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(LOCAL_NAMES)


def leads_to(base: str, post_url: str) -> bool:
    """Whether the URL leads to the bridge at `base`, whatever its token."""
    place = _place(post_url)
    return place is not None and place == _place(base.rstrip("/") + PATH)


def has_our_path(post_url: str) -> bool:
    """Whether the path is `PATH`. A slash at its end does no harm."""
    parts = _split(post_url)
    return parts is not None and parts.path.removesuffix("/") == PATH


def token_in(post_url: str) -> str | None:
    """The secret in the query, or else the password: the order in which the bridge looks for it."""
    parts = _split(post_url)
    if parts is None:
        return None
    in_query = dict(reversed(parse_qsl(parts.query))).get("token")  # of several, the first
    return in_query or unquote(parts.password or "") or None


def masked(post_url: str) -> str:
    """The URL to show to people, without token, query and user name."""
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
