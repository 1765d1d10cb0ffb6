"""Nobody sees a page without being logged in, and nobody is made to change anything unknowingly.

It stands before every route of the blueprint, so a new page cannot be forgotten.
"""

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect

from app.inspector.own_path import path_of
from app.inspector.session import IDLE, InspectorSessions, has_session
from app.login_link import session_key
from app.outbox.notes import Notes
from app.settings import Settings

LARGEST_FORM = 64 * 1024
"""Bytes."""

csrf = CSRFProtect()


def register(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """Put the guard before all pages, and what it needs into the app."""

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
