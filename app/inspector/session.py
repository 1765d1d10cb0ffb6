"""Who is logged in: a signed cookie, the same for all processes. It is over when the password
changes and, as is noted in the database, when its owner logs out."""

import secrets
import time
from datetime import timedelta

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.inspector.proxy import came_over_tls
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

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """None for a webhook: to look for a cookie that is not there takes a tenth of its time."""
        return None if request.path.startswith("/webhooks/") else super().open_session(app, request)

    def get_cookie_name(self, app: Flask) -> str:  # noqa: ARG002 - Flask's signature
        return "__Host-inspector" if came_over_tls(request) else "inspector"

    def get_cookie_secure(self, app: Flask) -> bool:  # noqa: ARG002 - Flask's signature
        return came_over_tls(request)
