"""`/login` and `/logout`."""

from collections.abc import Sequence

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.inspector.attempts import Attempts
from app.inspector.own_path import own_path
from app.inspector.proxy import caller_of
from app.inspector.session import begin_session, end_session
from app.login_link import LASTS, read_ticket, session_key
from app.logs import get_logger
from app.outbox.notes import Notes
from app.settings import Settings
from app.source.auth import is_known

log = get_logger(__name__)

WRONG = "That is not the password."
WRONG_LINK = "That link was used, or is too old. Get a new one from: flask --app wsgi url"


def register(blueprint: Blueprint, settings: Settings, notes: Notes) -> None:
    """Add the two.

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
    if seconds := attempts.seconds_to_wait(caller_of(request, trusted_proxies)):
        log.warning("too many tries to log in to the inspector; see TRUSTED_PROXIES in the docs")
        fault = f"Too many tries. Wait for {seconds} seconds, then try again."
        return _form(fault), 429, {"Retry-After": str(seconds)}
    if not is_known(request.form.get("password", "").strip(), passwords):
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
