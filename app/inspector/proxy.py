"""What a proxy in front says of a request: believed only where a lie gains nothing, or little."""

import ipaddress

from werkzeug.wrappers import Request


def came_over_tls(request: Request) -> bool:
    """Whether the browser spoke TLS, to us or to any proxy on the way.

    Anyone may send the header. All it does is to make the cookie stricter.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "")
    return request.is_secure or "https" in forwarded.lower()


def caller_of(request: Request) -> str:
    """The address to count attempts by.

    A peer with a private address may be a proxy, and what it appended last to `X-Forwarded-For` is
    its own peer; Heroku's router, nginx and Caddy do so. A peer from the internet is counted as
    itself, whatever it sends.
    """
    peer = request.remote_addr or ""
    forwarded = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return forwarded if forwarded and _is_private(peer) else peer


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False
