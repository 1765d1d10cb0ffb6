"""Who is logged in: a signed cookie, the same for all processes. It is over when the password
changes and, as is noted in the database, when its owner logs out."""

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


# Printable ASCII from one "/" on. Browsers read "//host", "/\host" and "/<tab>/host" as a host.
_OWN = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def own_path(text: str | None) -> str:
    """The text where it is a path of ours, else "/"."""
    return text if text and _OWN.fullmatch(text) else "/"


def path_of(request: Request) -> str:
    """What was asked for, to come back to: path and query, without the host."""
    query = quote(request.query_string, safe="%=&+,:/?-._~!$'()*;@")
    return own_path(quote(request.path) + ("?" + query if query else ""))
