"""Require a login for every page, and a CSRF token for every change. Also `/login` and `/logout`.

The check runs before every route of the blueprint, so that it cannot be forgotten for a new page.
"""

from collections.abc import Sequence

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect

from app.config.settings import Settings
from app.inspector.limits import LoginRateLimit
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
INVALID_LINK = "That link was used, or is too old. Get a new one from: flask url"

LARGEST_FORM = 64 * 1024
"""The largest form that is read, in bytes."""

csrf = CSRFProtect()


def register(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """Register `/login` and `/logout`, the check before all pages, and what it needs in the app."""
    _register_login(blueprint, settings, notes)

    @blueprint.before_request
    def require_login() -> ResponseReturnValue | None:
        request.max_content_length = LARGEST_FORM
        if request.endpoint == "inspector.static":
            return None
        if settings.inspector_password is None:
            # 404 and not 503, because trying again later will not help
            return render_template("off.html"), 404
        g.is_logged_in = has_session(notes)
        if not g.is_logged_in and request.endpoint != "inspector.login":
            return _redirect_to_login()
        csrf.protect()
        return None

    @blueprint.app_context_processor
    def add_login_state() -> dict[str, object]:
        return {"logged_in": g.get("is_logged_in", False)}

    @blueprint.record_once
    def configure_app(state: BlueprintSetupState) -> None:
        # werkzeug would redirect "//events" to an absolute URL with the host that the client sent
        state.app.url_map.merge_slashes = False
        if settings.inspector_password is None:
            return
        state.app.secret_key = session_key(settings.inspector_password, settings.webhook_tokens)
        state.app.session_interface = InspectorSessions()  # type: ignore[attr-defined]
        state.app.config.update(
            PERMANENT_SESSION_LIFETIME=IDLE,
            SESSION_COOKIE_HTTPONLY=True,
            # not "Strict", so that a link to an event in a chat opens without another login
            SESSION_COOKIE_SAMESITE="Lax",
            # the check above asks for the token, so the webhook needs no exemption
            WTF_CSRF_CHECK_DEFAULT=False,
            # a token is valid as long as its session
            WTF_CSRF_TIME_LIMIT=None,
            # it needs a Referer, which our own Referrer-Policy withholds
            WTF_CSRF_SSL_STRICT=False,
        )
        csrf.init_app(state.app)


def _redirect_to_login() -> ResponseReturnValue:
    if request.path.startswith("/live/") or request.path.endswith(".jsonl"):
        return "Log in first.\n", 401, {"Content-Type": "text/plain; charset=utf-8"}
    path = path_of(request) if request.method == "GET" else "/"
    return redirect(url_for("inspector.login", next=None if path == "/" else path), 303)


def _register_login(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """Register `/login` and `/logout`.

    If the password was generated, for a bridge on loopback, a link logs in too, as with Jupyter.
    The link has no password in it and works once, so it may stay in a browser's history. It cannot
    be guessed, so attempts are not limited: another site could use them up in someone's browser.
    """
    rate_limit = LoginRateLimit()
    passwords = [settings.inspector_password] if settings.inspector_password else []

    @blueprint.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        if request.method == "POST":
            return _login_by_password(passwords, rate_limit, settings.trusted_proxies)
        if g.is_logged_in:
            return redirect(_next_path(), 303)
        if settings.inspector_link and "ticket" in request.args:
            return _login_by_link(passwords[0], settings.webhook_tokens, notes)
        return _login_page()

    @blueprint.post("/logout")
    def logout() -> ResponseReturnValue:
        end_session(notes)
        return redirect(url_for("inspector.login"), 303)


def _login_by_password(
    passwords: Sequence[str], rate_limit: LoginRateLimit, trusted_proxies: int | None
) -> ResponseReturnValue:
    if seconds := rate_limit.seconds_to_wait(rate_limit_key(request, trusted_proxies)):
        log.warning("too many tries to log in to the inspector; see TRUSTED_PROXIES in the docs")
        message = f"Too many tries. Wait for {seconds} seconds, then try again."
        return _login_page(message), 429, {"Retry-After": str(seconds)}
    if not is_valid_token(request.form.get("password", "").strip(), passwords):
        log.warning("wrong password for the inspector")
        return _login_page(WRONG), 403
    return _start_session()


def _login_by_link(password: str, tokens: Sequence[str], notes: Notes) -> ResponseReturnValue:
    ticket = read_ticket(session_key(password, tokens), request.args["ticket"])
    if ticket is None or not notes.keep(f"used {ticket}", "", LASTS):
        log.warning("a link to the inspector that is not valid any more")
        return _login_page(INVALID_LINK), 403
    return _start_session()


def _start_session() -> ResponseReturnValue:
    begin_session()
    log.info("logged in to the inspector")
    return redirect(_next_path(), 303)


def _login_page(error: str = "") -> str:
    return render_template("login.html", error=error, next=_next_path())


def _next_path() -> str:
    return own_path(request.values.get("next"))
