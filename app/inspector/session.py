"""Who is logged in: a signed cookie, the same for all processes. It is over when the password
changes and, as is noted in the database, when its owner logs out."""

import ipaddress
import re
import secrets
import time
from datetime import timedelta
from urllib.parse import quote

from flask import Flask, request, session
from flask import Request as FlaskRequest
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from werkzeug.wrappers import Request

from app.outbox.notes import Notes

IDLE = timedelta(hours=12)
"""A session that is not used for so long is over."""

LONGEST = timedelta(days=7)
"""Any session is over by then: a cookie that was stolen does not live on for ever."""


def begin_session() -> None:
    """Nothing is taken over from before the login: neither a planted cookie nor its CSRF token."""
    session.clear()
    session["id"] = secrets.token_hex(16)
    session["since"] = time.time()
    session.permanent = True


def end_session(notes: Notes) -> None:
    """In all processes, for whoever else has the cookie too. Raises `SQLAlchemyError`."""
    notes.keep(_ended(session["id"]), "", LONGEST.total_seconds())
    session.clear()


def has_session(notes: Notes) -> bool:
    """Whether this request comes from somebody who is logged in. Raises `SQLAlchemyError`."""
    since: float = session.get("since", 0.0)
    if "id" not in session or not 0 <= time.time() - since < LONGEST.total_seconds():
        return False
    return notes.text(_ended(session["id"])) is None


def _ended(session_id: str) -> str:
    return f"ended {session_id}"


class InspectorSessions(SecureCookieSessionInterface):
    """Flask's signed cookies, which over TLS are named so that browsers are strict with them:
    one whose name begins with `__Host-` is taken from this very host alone.
    """

    salt = "inspector"

    def open_session(self, app: Flask, request: FlaskRequest) -> SecureCookieSession | None:
        """None for a webhook: to look for a cookie that is not there takes a tenth of its time."""
        return None if request.path.startswith("/webhooks/") else super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:  # noqa: ARG002 - Flask's signature
        return "__Host-inspector" if came_over_tls(request) else "inspector"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        return came_over_tls(request)


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


# Printable ASCII from one "/" on. Browsers read "//host", "/\host" and "/<tab>/host" as a host.
_OWN = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def own_path(text: str | None) -> str:
    """The text where it is a path of ours, else "/"."""
    return text if text and _OWN.fullmatch(text) else "/"


def path_of(request: Request) -> str:
    """What was asked for, to come back to: path and query, without the host."""
    query = quote(request.query_string, safe="%=&+,:/?-._~!$'()*;@")
    return own_path(quote(request.path) + ("?" + query if query else ""))
