"""`/login` and `/logout`."""

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from app.inspector.attempts import Attempts
from app.inspector.own_path import own_path
from app.inspector.proxy import caller_of
from app.inspector.session import begin_session, has_session
from app.logs import get_logger
from app.settings import Settings
from app.source.auth import is_known

log = get_logger(__name__)

WRONG = "That is not the password."
WRONG_LINK = "That link is not valid any more. Get a new one from: flask --app wsgi url"


def register(blueprint: Blueprint, settings: Settings) -> None:
    """Add the two.

    A password that was made up for a bridge on loopback may come in a link, as with Jupyter; one
    that somebody set, and may use elsewhere, is never taken from a URL.
    """
    attempts = Attempts()
    passwords = [settings.inspector_password] if settings.inspector_password else []

    @blueprint.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        if request.method == "POST":
            return _enter(request.form.get("password", ""), passwords, attempts, WRONG)
        if has_session():
            return redirect(_next(), 303)
        if settings.inspector_link and "password" in request.args:
            return _enter(request.args["password"], passwords, attempts, WRONG_LINK)
        return _form()

    @blueprint.post("/logout")
    def logout() -> ResponseReturnValue:
        session.clear()
        return redirect(url_for("inspector.login"), 303)


def _enter(
    offered: str, passwords: Sequence[str], attempts: Attempts, refusal: str
) -> ResponseReturnValue:
    if seconds := attempts.seconds_to_wait(caller_of(request)):
        log.warning("too many tries to log in to the inspector")
        fault = f"Too many tries. Wait for {seconds} seconds, then try again."
        return _form(fault), 429, {"Retry-After": str(seconds)}
    if not is_known(offered.strip(), passwords):
        log.warning("wrong password for the inspector")
        return _form(refusal), 403
    begin_session()
    log.info("logged in to the inspector")
    return redirect(_next(), 303)


def _form(fault: str = "") -> str:
    return render_template("login.html", fault=fault, next=_next())


def _next() -> str:
    return own_path(request.values.get("next"))
