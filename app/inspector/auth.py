"""Nobody sees a page without being logged in, and nobody is made to change anything unknowingly.

The guard runs before every route of the blueprint, so a new page cannot be forgotten. `/login` and
`/logout` are here too, and how often a password may be tried.
"""

import math
import time
from collections.abc import Sequence

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.config.settings import Settings
from app.inspector.session import (
    IDLE,
    InspectorSessions,
    begin_session,
    end_session,
    has_session,
    own_path,
    path_of,
)
from app.logs import get_logger
from app.outbox.notes import Notes
from app.web.auth import is_valid_token
from app.web.client_address import rate_limit_key
from app.web.login_link import LASTS, read_ticket, session_key

log = get_logger(__name__)

WRONG = "That is not the password."
WRONG_LINK = "That link was used, or is too old. Get a new one from: flask --app wsgi url"

LARGEST_FORM = 64 * 1024
"""Bytes."""

csrf = CSRFProtect()


class Attempts:
    """Ten a minute from one address, sixty from all together; right or wrong, each counts.

    What an address tries beyond its ten does not count towards the sixty, so one address cannot
    lock others out; six can, for as long as they go on, and sessions that are open go on as well.

    Counted in memory, each process for itself: with several, as many times more may get through.
    A password of twelve characters can bear that.
    """

    def __init__(self, each: int = 10, together: int = 60) -> None:
        self._each = RateLimitItemPerMinute(each)
        self._together = RateLimitItemPerMinute(together)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def seconds_to_wait(self, caller: str) -> int:
        """Count one more; 0 where it may be tried now."""
        if not self._limiter.hit(self._each, "each", caller):
            return self._left(self._each, "each", caller)
        if not self._limiter.hit(self._together, "together"):
            return self._left(self._together, "together")
        return 0

    def _left(self, limit: RateLimitItemPerMinute, *key: str) -> int:
        reset_at, _ = self._limiter.get_window_stats(limit, *key)
        return max(1, math.ceil(reset_at - time.time()))


def register(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """`/login` and `/logout`; a guard before all pages, and what it needs in the app."""
    _register_login(blueprint, settings, notes)

    @blueprint.before_request
    def guard() -> ResponseReturnValue | None:
        request.max_content_length = LARGEST_FORM
        if request.endpoint == "inspector.static":
            return None
        if settings.inspector_password is None:
            # 404, as before it was turned on: no try later will help, so not 503
            return render_template("off.html"), 404
        g.is_logged_in = has_session(notes)
        if not g.is_logged_in and request.endpoint != "inspector.login":
            return _to_the_login()
        csrf.protect()
        return None

    @blueprint.context_processor
    def for_the_layout() -> dict[str, object]:
        return {"logged_in": g.get("is_logged_in", False)}

    @blueprint.record_once
    def prepare(state: BlueprintSetupState) -> None:
        # werkzeug would send "//events" to an absolute URL, made of whatever Host was sent
        state.app.url_map.merge_slashes = False
        if settings.inspector_password is None:
            return
        state.app.secret_key = session_key(settings.inspector_password, settings.webhook_tokens)
        state.app.session_interface = InspectorSessions()  # type: ignore[attr-defined]
        state.app.config.update(
            PERMANENT_SESSION_LIFETIME=IDLE,
            SESSION_COOKIE_HTTPONLY=True,
            # not "Strict": a link to an event, in a chat or a mail, opens without another login
            SESSION_COOKIE_SAMESITE="Lax",
            # the guard asks for the token itself, so the webhook needs no exemption
            WTF_CSRF_CHECK_DEFAULT=False,
            # it lasts as long as the session
            WTF_CSRF_TIME_LIMIT=None,
            # it wants a Referer, which our own Referrer-Policy withholds
            WTF_CSRF_SSL_STRICT=False,
        )
        csrf.init_app(state.app)


def _to_the_login() -> ResponseReturnValue:
    if request.path == "/live" or request.path.endswith(".jsonl"):
        return "Log in first.\n", 401, {"Content-Type": "text/plain; charset=utf-8"}
    path = path_of(request) if request.method == "GET" else "/"
    return redirect(url_for("inspector.login", next=None if path == "/" else path), 303)


def _register_login(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """`/login` and `/logout`.

    Where the password was made up, for a bridge on loopback, a link logs in too, as with Jupyter.
    It has no password in it and is of use once, so it may stay in a browser's history; and nobody
    can guess at it, so a page that has browsers try it locks nobody out.
    """
    attempts = Attempts()
    passwords = [settings.inspector_password] if settings.inspector_password else []

    @blueprint.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        if request.method == "POST":
            return _enter(passwords, attempts, settings.trusted_proxies)
        if g.is_logged_in:
            return redirect(_next(), 303)
        if settings.inspector_link and "ticket" in request.args:
            return _enter_by_link(passwords[0], settings.webhook_tokens, notes)
        return _form()

    @blueprint.post("/logout")
    def logout() -> ResponseReturnValue:
        end_session(notes)
        return redirect(url_for("inspector.login"), 303)


def _enter(
    passwords: Sequence[str], attempts: Attempts, trusted_proxies: int | None
) -> ResponseReturnValue:
    if seconds := attempts.seconds_to_wait(rate_limit_key(request, trusted_proxies)):
        log.warning("too many tries to log in to the inspector; see TRUSTED_PROXIES in the docs")
        fault = f"Too many tries. Wait for {seconds} seconds, then try again."
        return _form(fault), 429, {"Retry-After": str(seconds)}
    if not is_valid_token(request.form.get("password", "").strip(), passwords):
        log.warning("wrong password for the inspector")
        return _form(WRONG), 403
    return _begin()


def _enter_by_link(password: str, tokens: Sequence[str], notes: Notes) -> ResponseReturnValue:
    used = read_ticket(session_key(password, tokens), request.args["ticket"])
    if used is None or not notes.keep(f"used {used}", "", LASTS):
        log.warning("a link to the inspector that is not valid any more")
        return _form(WRONG_LINK), 403
    return _begin()


def _begin() -> ResponseReturnValue:
    begin_session()
    log.info("logged in to the inspector")
    return redirect(_next(), 303)


def _form(fault: str = "") -> str:
    return render_template("login.html", fault=fault, next=_next())


def _next() -> str:
    return own_path(request.values.get("next"))
