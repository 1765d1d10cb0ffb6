"""Who is logged in: a signed cookie, the same for all processes, over when the password changes."""

import hmac
import time
from collections.abc import Sequence
from datetime import timedelta

from flask import Flask, Request, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from app.inspector.proxy import came_over_tls

IDLE = timedelta(hours=12)
"""A session that is not used for so long is over."""

LONGEST = timedelta(days=7)
"""Any session is over by then: a cookie that was stolen does not live on for ever."""


def session_key(password: str, tokens: Sequence[str]) -> bytes:
    """The key that signs the cookies.

    The password alone could be guessed at by whoever has seen a cookie; the webhook's tokens are
    in it too, and they are random. Derived, so that there is no setting more to make and to share.
    """
    purpose = "\0".join(["inspector session", *tokens])
    return hmac.digest(password.encode(), purpose.encode(), "sha256")


def begin_session() -> None:
    """Nothing is taken over from before the login: neither a planted cookie nor its CSRF token."""
    session.clear()
    session["since"] = time.time()
    session.permanent = True


def has_session() -> bool:
    """Whether this request comes from somebody who is logged in."""
    since: float = session.get("since", 0.0)
    return 0 <= time.time() - since < LONGEST.total_seconds()


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
