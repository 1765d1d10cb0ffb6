"""What a proxy in front says of a request: believed only where a lie gains nothing, or little."""

import ipaddress
import re

from werkzeug.wrappers import Request


def came_over_tls(request: Request) -> bool:
    """Whether the browser spoke TLS, to us or to any proxy on the way.

    Anyone may send the header. All it does is to make the cookie stricter.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "")
    return request.is_secure or "https" in forwarded.lower()


def caller_of(request: Request, trusted_proxies: int | None = None) -> str:
    """The address to count attempts by, of IPv6 its /64: so much has whoever has one.

    Each proxy appends its own peer to `X-Forwarded-For`, as Heroku's router, nginx and Caddy do. So
    with `trusted_proxies` in front the caller is that many places from the end, and what is before
    that anyone may have sent. Where nobody said how many there are: one, if our peer has a private
    address, as a proxy has; a peer from the internet is itself, whatever it sends.
    """
    peer = request.remote_addr or ""
    if trusted_proxies is None:
        trusted_proxies = 1 if _is_private(peer) else 0
    named = request.headers.get("X-Forwarded-For", "").split(",")
    if 0 < trusted_proxies <= len(named):
        return _to_key(named[-trusted_proxies]) or _to_key(peer)
    return _to_key(peer)


_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")


def _to_key(address: str) -> str:
    """Short, whatever was sent; "" for what is no address."""
    bare = address.strip()
    if found := _WITH_PORT.fullmatch(bare):
        bare = found[1] or found[2]
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        return ""
    if isinstance(ip, ipaddress.IPv6Address):
        mapped = ip.ipv4_mapped
        return str(mapped or ipaddress.IPv6Address(int(ip) >> 64 << 64))
    return str(ip)


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return address == ""  # a Unix socket, of this very machine
