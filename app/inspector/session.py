"""Sessions of logged-in users, in a signed cookie that all processes can check.

A session ends when the password changes, because the key that signs it is made from that. A logout
is recorded in the database, so that a copy of the cookie is not valid any more.
"""

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
"""A session ends if it is not used for so long."""

LONGEST = timedelta(days=7)
"""Any session ends after so long, in case its cookie was stolen."""


def begin_session() -> None:
    """Start a new session. Whatever an attacker set before the login is dropped."""
    session.clear()
    session["id"] = secrets.token_hex(16)
    session["since"] = time.time()
    session.permanent = True


def end_session(notes: Notes) -> None:
    """End the session in all processes, also for copies of its cookie. Raises `SQLAlchemyError`."""
    notes.keep(_logout_note(session["id"]), "", LONGEST.total_seconds())
    session.clear()


def has_session(notes: Notes) -> bool:
    """Return whether this request comes from a logged-in user. Raises `SQLAlchemyError`."""
    since: float = session.get("since", 0.0)
    if "id" not in session or not 0 <= time.time() - since < LONGEST.total_seconds():
        return False
    return notes.text(_logout_note(session["id"])) is None


def _logout_note(session_id: str) -> str:
    return f"ended {session_id}"


class InspectorSessions(SecureCookieSessionInterface):
    """Flask's signed cookies, with a stricter name over TLS.

    Browsers accept a cookie whose name begins with `__Host-` from this host only.
    """

    salt = "inspector"

    def open_session(self, app: Flask, request: FlaskRequest) -> SecureCookieSession | None:
        """Return None for a webhook: looking for a cookie would take a tenth of its time."""
        return None if request.path.startswith("/webhooks/") else super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:  # noqa: ARG002 - Flask's signature
        return "__Host-inspector" if came_over_tls(request) else "inspector"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        return came_over_tls(request)


def came_over_tls(request: Request) -> bool:
    """Return whether the browser used TLS, to us or to any proxy on the way.

    Anyone may send the header, but all it does is make the cookie stricter.
    """
    forwarded = request.headers.get("X-Forwarded-Proto", "")
    return request.is_secure or "https" in forwarded.lower()


# Printable ASCII after one "/". Browsers take "//host", "/\host" and "/<tab>/host" as a host.
_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


def own_path(text: str | None) -> str:
    """Return the text if it is a path on this host, else "/"."""
    return text if text and _LOCAL_PATH.fullmatch(text) else "/"


def path_of(request: Request) -> str:
    """Return the requested path and query, to come back to after the login."""
    query = quote(request.query_string, safe="%=&+,:/?-._~!$'()*;@")
    return own_path(quote(request.path) + ("?" + query if query else ""))
