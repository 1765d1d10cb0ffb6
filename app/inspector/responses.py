"""The security headers of every response, and the pages that report errors.

The pages show text that strangers wrote. Should any of it ever get past the escaping, the browser
still runs no script but our own files, and requests nothing from other hosts.
"""

from http import HTTPStatus

from flask import Blueprint, Response, g, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.database.engine import describe
from app.inspector.session import has_session
from app.logs import get_logger
from app.monitoring.stats_cache import StatsUnavailable
from app.outbox.notes import Notes

log = get_logger(__name__)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # a URL may contain what was searched for
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

FORM_EXPIRED = (
    "The page was too old, or this browser keeps no cookies. Nothing was changed. "
    "Go back, load the page again, and try once more."
)

DATABASE_UNAVAILABLE = (
    "The database cannot be read: see whether it runs and DATABASE_URL is right. "
    "The log has its words."
)

UNKNOWN_ADDRESS = "There is no page at this address. A link may be of an older version."


def register(blueprint: Blueprint) -> None:
    """Register the headers and the error handlers for all pages."""

    blueprint.after_request(_add_headers)

    @blueprint.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> ResponseReturnValue:
        if error.response is not None:
            return error.response
        message = FORM_EXPIRED if isinstance(error, CSRFError) else error.description
        headers = {name: value for name, value in error.get_headers() if name == "Retry-After"}
        return _error_page(error.name, message), error.code or 500, headers

    @blueprint.errorhandler(StatsUnavailable)
    def not_counted(error: StatsUnavailable) -> ResponseReturnValue:
        return _error_page("Events cannot be counted", str(error)), 503

    @blueprint.errorhandler(SQLAlchemyError)
    def database_error(error: SQLAlchemyError) -> ResponseReturnValue:
        log.warning("outbox out of reach, page not shown", reason=describe(error))
        return _error_page("No database", DATABASE_UNAVAILABLE), 503


def wants_page() -> bool:
    """Whether a browser asks for an address that no route serves. Webhooks are for machines."""
    accepted = request.accept_mimetypes.best_match(["application/json", "text/html"])
    is_for_people = accepted == "text/html" and not request.path.startswith("/webhooks/")
    return request.endpoint is None and is_for_people


def unknown_address(error: HTTPException, notes: Notes) -> ResponseReturnValue:
    """The page for an address that no route serves. Only with a session it has the navigation."""
    try:
        g.is_logged_in = has_session(notes)
    except SQLAlchemyError as failure:
        log.warning("outbox out of reach, page without navigation", reason=describe(failure))
    is_missing = error.code == HTTPStatus.NOT_FOUND
    message = UNKNOWN_ADDRESS if is_missing else error.description
    response = make_response(_error_page(error.name, message), error.code)
    return _add_headers(response)


def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    # Flask makes browsers revalidate static files, so that an upgrade is seen
    if request.endpoint != "inspector.static":
        response.headers["Cache-Control"] = "no-store"
    return response


def _error_page(title: str, message: str | None) -> str:
    return render_template("error.html", title=title, message=message)
