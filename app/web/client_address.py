"""The address of a client, which proxies and IPv6 may hide."""

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class UnmapIPv4:
    """WSGI middleware that gives clients over IPv4 their own address.

    A server that listens on `[::]` gets them as ::ffff:203.0.113.7. That puts all of IPv4 into one
    IPv6 network, and it counts as private.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        environ["REMOTE_ADDR"] = environ.get("REMOTE_ADDR", "").removeprefix("::ffff:")
        return self._app(environ, start_response)


IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(request: Request, trusted_proxies: int | None = None) -> IpAddress | None:
    """Return the client's address, or None if it is not known.

    Each proxy appends the address of its own client to `X-Forwarded-For`, as Heroku's router, nginx
    and Caddy do. With `trusted_proxies` in front, the client is that many places from the end.
    Whatever is before that, anyone may have sent.

    None means that the number is not set. Then one proxy is assumed if the peer's address is
    private, as that of a proxy is. A peer from the internet counts as the client itself.
    """
    peer = request.remote_addr or ""
    if trusted_proxies is None:
        trusted_proxies = 1 if _is_private(peer) else 0
    forwarded = request.headers.get("X-Forwarded-For", "").split(",")
    if 0 < trusted_proxies <= len(forwarded):
        return _read(forwarded[-trusted_proxies]) or _read(peer)
    return _read(peer)


def rate_limit_key(request: Request, trusted_proxies: int | None = None) -> str:
    """Return the client's address to count attempts by, or "". For IPv6 it is the /64, which one
    client has whole."""
    address = client_address(request, trusted_proxies)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
    return str(address or "")


_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")


def _read(address: str) -> IpAddress | None:
    """Read an address, with or without a port. None if it is no address."""
    bare = address.strip()
    if match := _WITH_PORT.fullmatch(bare):
        bare = match[1] or match[2]
    try:
        ip = ipaddress.ip_address(bare)
    except ValueError:
        return None
    return getattr(ip, "ipv4_mapped", None) or ip


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return address == ""  # a Unix socket, which is on this machine
